"""Atomic writes, used for all files: a file is complete or does not exist."""

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
    """Write to a temporary file and move it into place when complete.

    The content is on the disk before the file gets its name, so that after a kill or a
    power failure either the old file or the new one exists. Several processes may write
    the same file at once; the last one wins.

    Args:
        path: The file to write; its folder is made if it does not exist.
        durable: Whether to wait for the disk. Without it a power failure may leave a
            damaged file; a kill still leaves a complete one. Only for files that are
            verified when they are read and can be made again.

    Yields:
        Path of an empty temporary file in the same folder, with the same suffix. Its
        permissions follow the umask. It is removed if an exception is raised.

    Raises:
        OSError: The disk is full, read-only, ...; the message names ``path``.
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
        # The error has no file name (full disk) or the temporary one: name the target.
        if error.filename in (None, str(temporary), temporary) and error.errno:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    # Sync the folder too, so that the new name survives. Not every system supports it.
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
    """Remove temporary files that killed writers left beside a file.

    Args:
        path: The file. No other process may be writing it.
    """
    path = Path(path)
    pattern = f'.{glob.escape(path.stem)}.*{_UNFINISHED}{glob.escape(path.suffix)}'
    for left in path.parent.glob(pattern):
        left.unlink(missing_ok=True)
