"""Shows errors of trainings and tests that the user can fix as one line."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Sequence
from urllib.error import URLError

from mcdrl_common import InputError

EXIT_BAD_INPUT = 2

Main = Callable[..., int]


class OptionError(InputError, ValueError):
    """A command line that does not fit the config or the work folder."""


def without_traceback(name: str) -> Callable[[Main], Main]:
    """Decorate a command: a known error becomes one message and exit code 2.

    Known errors include a package that a component of the config needs, as ``Albu``
    does, and a failed download. Any other error keeps its traceback: it is a bug, or an
    error of a component that is not known here.

    Args:
        name: Name of the command, printed before the message.
    """

    def decorate(main: Main) -> Main:
        @functools.wraps(main)
        def wrapped(argv: Sequence[str] | None = None) -> int:
            try:
                return main(argv)
            except (InputError, FileNotFoundError) as error:
                message = _message(error)
            except ImportError as error:
                # A component of the config needs a package and says how to install it.
                if 'install' not in str(error):
                    raise
                message = _message(error)
            except AssertionError as error:
                # Of MMSegmentation's SegDataPreProcessor, which pads in training alone.
                if 'image size in a batch should be the same' not in str(error):
                    raise
                message = (
                    'images of several sizes are in one batch of a validation or test. '
                    'Set batch_size=1 in val_dataloader and test_dataloader, or resize '
                    "the images there by dict(type='Resize', scale=(width, height), "
                    'keep_ratio=False).'
                )
            except URLError as error:
                # For example, weights that a stock backbone downloads when it is built.
                message = (
                    f'a download failed ({error.reason}). Without network access, set '
                    'the weights in the config (pretrained, init_cfg.checkpoint, '
                    'load_from) to local files or to None.'
                )
            print(f'{name}: {message}', file=sys.stderr)
            return EXIT_BAD_INPUT

        return wrapped

    return decorate


def _message(error: Exception) -> str:
    """The error's message, without the traceback of a dataloader worker."""
    text = str(error)
    if re.match(r'Caught \w+ in DataLoader worker process', text):
        text = text.rpartition(f'{type(error).__name__}: ')[2]
    return text.strip()
