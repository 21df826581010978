"""Errors of trainings and tests that the user can put right, in one line."""

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
    """Decorate a command: a known error is one message and exit code 2.

    So is a package that a component of the config asks to install, as ``Albu`` does,
    and a download that fails. Any other error keeps its traceback: it is a fault of
    the program, or of a component that nobody knows here.

    Args:
        name: Of the command, said before the message.
    """

    def decorate(main: Main) -> Main:
        @functools.wraps(main)
        def wrapped(argv: Sequence[str] | None = None) -> int:
            try:
                return main(argv)
            except (InputError, FileNotFoundError) as error:
                message = _message(error)
            except ImportError as error:
                # A component of the config lacks its package, and says how to get it.
                if 'install' not in str(error):
                    raise
                message = _message(error)
            except URLError as error:
                # Of a stock backbone, say, whose weights are fetched as it is made.
                message = (
                    f'a download failed ({error.reason}). Without a network name files '
                    'where the config asks for weights (pretrained, '
                    'init_cfg.checkpoint, load_from), or set them to None.'
                )
            print(f'{name}: {message}', file=sys.stderr)
            return EXIT_BAD_INPUT

        return wrapped

    return decorate


def _message(error: Exception) -> str:
    """What the error says; of one in a data worker without the worker's traceback."""
    text = str(error)
    if re.match(r'Caught \w+ in DataLoader worker process', text):
        text = text.rpartition(f'{type(error).__name__}: ')[2]
    return text.strip()
