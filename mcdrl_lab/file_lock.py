"""Advisory file locks that vanish with the processes that hold them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .errors import ProtocolError


@contextmanager
def locked(file: IO) -> Iterator[None]:
    """Hold an open file's lock, waiting for it as long as needed.

    Args:
        file: The open file.
    """
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


class FolderLock:
    """A lock on a folder, held through the file ``.lock`` inside it.

    The operating system drops the lock when the last process that holds the file
    open ends, however it ends: there are no stale locks. A child process started
    with ``pass_fds=(lock.fileno(),)`` holds it too, so that a run whose starter
    was killed is still seen as busy.

    Args:
        folder: The folder; made if it does not exist.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = Path(folder)
        self.path = self.folder / '.lock'
        self._file: IO | None = None

    def try_acquire(self) -> bool:
        """Take the lock if nobody else holds it.

        Returns:
            Whether the lock is now held.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        file = open(self.path, 'a+')  # noqa: SIM115 (held until release)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        self.note(f'process {os.getpid()}')
        return True

    def note(self, text: str) -> None:
        """Leave word of who holds the lock.

        Args:
            text: One line.
        """
        assert self._file is not None
        self._file.truncate(0)
        self._file.write(f'{text}\n')
        self._file.flush()

    def holder(self) -> str:
        """What the holder wrote about itself."""
        try:
            return self.path.read_text().strip() or 'another process'
        except OSError:
            return 'another process'

    def fileno(self) -> int:
        """File descriptor to hand on to a child process."""
        assert self._file is not None
        return self._file.fileno()

    def release(self) -> None:
        """Let go; children that still hold the file keep the lock."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> FolderLock:
        """Take the lock at once.

        Raises:
            ProtocolError: Somebody else holds it.
        """
        if not self.try_acquire():
            raise ProtocolError(
                f'{self.folder} is being worked on by {self.holder()}: wait for it '
                'to end, or choose another output folder.'
            )
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()
