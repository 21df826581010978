"""A lock that lets one process at a time work in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

LOCK_NAME = '.lock'


class FolderBusyError(RuntimeError):
    """Another process works in a folder.

    Args:
        folder: The folder.
        holder: Holder of the lock, such as ``process 1234``.
    """

    def __init__(self, folder: Path, holder: str) -> None:
        self.folder, self.holder = folder, holder
        super().__init__(f'{folder} is being worked on by {holder}')


@contextmanager
def folder_lock(
    folder: str | os.PathLike, name: str = LOCK_NAME, wait_s: float = 0.0
) -> Iterator[None]:
    """Context that holds a lock on a folder, through a file inside it.

    The operating system releases the lock when its holder ends in any way: the file of
    a killed process blocks nobody.

    Args:
        folder: The folder; made if it does not exist.
        name: Name of the file. Locks with different names are independent.
        wait_s: Seconds to wait if another process holds the lock.

    Raises:
        FolderBusyError: Another process holds the lock.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    # Not in the locked file, which others cannot read on Windows.
    holder = path / f'{name}-holder'
    try:
        lock = FileLock(path / name).acquire(timeout=wait_s)
    except Timeout:
        raise FolderBusyError(path, _read_holder(holder)) from None
    with lock:
        holder.write_text(f'process {os.getpid()}', encoding='utf-8')
        try:
            yield
        finally:
            holder.unlink(missing_ok=True)


def _read_holder(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8') or 'another process'
    except OSError:
        # The holder writes this file a moment after it takes the lock.
        return 'another process'
