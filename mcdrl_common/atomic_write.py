"""Files that are either whole or not there: the one way in which files are written."""

from __future__ import annotations

import glob
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_UNFINISHED = '.partial'


@contextmanager
def atomic_write(path: str | os.PathLike, durable: bool = True) -> Iterator[Path]:
    """Write a file under another name first and move it into place when whole.

    The content is on the disk before the file gets its name, so that a kill or a power
    failure leaves the old file or the new one. Several processes may write the same
    file at once; the last one wins.

    Args:
        path: The file to write; its folder is made if it does not exist.
        durable: Wait for the disk. Without that a power failure may leave a damaged
            file, a kill still leaves a whole one: for what is checked when it is read,
            and can be had again.

    Yields:
        Path of an empty file in the same folder, with the same ending. The umask
        decides who may read it. It is removed if anything is raised.

    Raises:
        OSError: The disk is full, read-only, ...; names the file, not the empty one.
    """
    path = Path(path)
    name = f'.{path.stem}.{secrets.token_hex(4)}{_UNFINISHED}{path.suffix}'
    temporary = path.with_name(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
        try:
            yield temporary
            if durable:
                _sync(temporary, os.O_RDWR)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        # A full disk shows in writing, where Python knows no name; else it is a name
        # that nobody has given.
        if error.filename in (None, str(temporary), temporary) and error.errno:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    # The new name lasts once the folder is on the disk too. Not every system has that.
    if durable:
        with suppress(OSError):
            _sync(path.parent, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: str | os.PathLike, content: bytes, durable: bool = True) -> None:
    """Write a file in one step.

    Args:
        path: The file.
        content: Its content.
        durable: See :func:`atomic_write`.
    """
    with atomic_write(path, durable) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | os.PathLike, text: str) -> None:
    r"""Write a text file in one step, as UTF-8 and with ``\n`` on every system.

    Args:
        path: The file.
        text: Its content.
    """
    write_bytes(path, text.encode('utf-8'))


def remove_unfinished(path: str | os.PathLike) -> None:
    """Remove what killed writers of a file left beside it.

    Args:
        path: The file. No other process may be writing it.
    """
    path = Path(path)
    pattern = f'.{glob.escape(path.stem)}.*{_UNFINISHED}{glob.escape(path.suffix)}'
    for left in path.parent.glob(pattern):
        left.unlink(missing_ok=True)
