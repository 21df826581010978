"""Memory limit for all uploads: slow uploads do not block others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

# Seconds after which an upload may be aborted if others need its memory.
TIMEOUT_S = 5.0


class Upload:
    """An upload in progress.

    Args:
        memory: The memory that all uploads share.
        seconds: Time limit; waiting for memory does not count.

    Attributes:
        scope: Cancel scope in which the upload must be read. It is cancelled if the
            upload takes too long or others need its memory.
        broken_off: Whether it was aborted because others needed its memory.
    """

    def __init__(self, memory: UploadMemory, seconds: float) -> None:
        self._memory = memory
        self.began = anyio.current_time()
        self.scope = anyio.CancelScope(deadline=self.began + seconds)
        self.held = 0
        self.broken_off = False

    async def take(self, count: int) -> None:
        """Take memory for a chunk; wait until it is free.

        Args:
            count: Bytes.
        """
        asked = anyio.current_time()
        while self._memory.left < count:
            self._memory.break_off_oldest(self)
            with anyio.move_on_after(TIMEOUT_S / 10):
                await self._memory.freed.wait()
        self.scope.deadline += anyio.current_time() - asked
        self._memory.left -= count
        self.held += count


class UploadMemory:
    """The memory that all uploads share, until each is answered.

    An upload holds only the bytes received so far, so many slow uploads hold little. If
    they hold all of it, the one that began first is aborted.

    Args:
        count: Bytes for all uploads together.
    """

    def __init__(self, count: int) -> None:
        self.left = count
        self.freed = anyio.Event()
        # Uploads still being received, in the order in which they began.
        self._coming: list[Upload] = []

    @contextmanager
    def upload(self, seconds: float) -> Iterator[Upload]:
        """Start an upload, and free its memory at the end of the block.

        Args:
            seconds: Time limit.

        Yields:
            The upload, to be read inside its scope.
        """
        upload = Upload(self, seconds)
        self._coming.append(upload)
        try:
            yield upload
        finally:
            self.mark_complete(upload)
            self.left += upload.held
            self.freed.set()
            self.freed = anyio.Event()

    def mark_complete(self, upload: Upload) -> None:
        """Mark an upload as complete, so that it is no longer aborted.

        Args:
            upload: The upload.
        """
        if upload in self._coming:
            self._coming.remove(upload)

    def break_off_oldest(self, asking: Upload) -> None:
        """Abort the upload that began first, if it is older than :data:`TIMEOUT_S`.

        Args:
            asking: The upload that needs memory.
        """
        latest = anyio.current_time() - TIMEOUT_S
        for upload in self._coming:
            if upload is not asking and upload.held and upload.began <= latest:
                upload.broken_off = True
                upload.scope.cancel()
                self.mark_complete(upload)
                return
