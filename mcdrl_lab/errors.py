"""Errors that commands show as a single line, and how they show them."""

from __future__ import annotations

import argparse
import functools
import signal
import sys
from collections.abc import Callable

from mcdrl_common import InputError
from mcdrl_common.printable import printable

Run = Callable[[argparse.Namespace], 'int | None']

EXIT_BAD_INPUT = 2
EXIT_STOPPED = 130
# A shell's exit code for a program that SIGPIPE ended.
EXIT_NOT_READ = 141


class ProtocolError(InputError, ValueError):
    """A plan, records or a command line that cannot be used."""


class ConversionError(InputError, ValueError):
    """A data set cannot be read or written; the message says what to fix."""


def _stop_signals() -> list[signal.Signals]:
    """The signals that ask a command to stop cleanly.

    Ctrl-C sends SIGINT, a batch system SIGTERM, a closed terminal SIGHUP. A signal that
    is already ignored, as SIGHUP under nohup, is left out.
    """
    names = ('SIGINT', 'SIGTERM', 'SIGHUP')
    signals = [getattr(signal, name) for name in names if hasattr(signal, name)]
    return [one for one in signals if signal.getsignal(one) is not signal.SIG_IGN]


def errors_in_one_line(*further: type[Exception]) -> Callable[[Run], Run]:
    """Decorate a command's ``run``: errors in its input show as one line, no traceback.

    Args:
        further: Exception types that mean bad input in this command, in addition to
            :class:`InputError`, which ``commands`` handles for every command.
    """
    errors: tuple[type[Exception], ...] = (InputError, *further)

    def decorate(run: Run) -> Run:
        @functools.wraps(run)
        def wrapped(args: argparse.Namespace) -> int | None:
            try:
                return run(args)
            except errors as error:
                print(printable(f'error: {error}'), file=sys.stderr)
                return EXIT_BAD_INPUT

        return wrapped

    return decorate


def _is_stop(error: BaseException | None) -> bool:
    """Whether an error is a KeyboardInterrupt, or was caused by one.

    Before Python 3.12 an exception raised in ``__set_name__`` while a class is created,
    as during an import, arrives as the cause of a RuntimeError.
    """
    if error is None or isinstance(error, KeyboardInterrupt):
        return error is not None
    return _is_stop(error.__cause__)


def ends_in_one_line(run: Run) -> Run:
    """Decorate the ``run`` of a command that can resume where it was stopped.

    Bad input prints one line and exits with code 2; a stop exits with code 130.

    Args:
        run: The command's function; it returns an exit code, or None for 0.
    """

    def stop(*_: object) -> None:
        # A second signal, from a closed terminal or a second Ctrl-C, must not
        # interrupt the clean-up.
        for number in _stop_signals():
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    @functools.wraps(run)
    def wrapped(args: argparse.Namespace) -> int | None:
        before = {number: signal.signal(number, stop) for number in _stop_signals()}
        try:
            return errors_in_one_line()(run)(args)
        except BaseException as error:
            if not _is_stop(error):
                raise
            print('stopped; run the same command again to resume.', file=sys.stderr)
            return EXIT_STOPPED
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    return wrapped
