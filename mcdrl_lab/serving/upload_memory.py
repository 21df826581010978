"""Memory for uploads: those that come slowly do not keep others out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

# Seconds after which an upload is broken off where others need its memory.
TIMEOUT_S = 5.0


class Upload:
    """One upload under way.

    Args:
        memory: What it takes its memory from.
        seconds: That it may take, less what it waits for memory.

    Attributes:
        scope: To be entered while the upload is read; left early where it takes too
            long or others need its memory.
        broken_off: Whether others needed its memory.
    """

    def __init__(self, memory: UploadMemory, seconds: float) -> None:
        self._memory = memory
        self.began = anyio.current_time()
        self.scope = anyio.CancelScope(deadline=self.began + seconds)
        self.held = 0
        self.broken_off = False

    async def take(self, count: int) -> None:
        """Take memory for a part, and wait for it if need be.

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
    """What uploads may hold together, those included that are being answered.

    An upload holds what has come of it. So many that come slowly hold little; where
    they hold all, the one that began first is broken off.

    Args:
        count: Bytes.
    """

    def __init__(self, count: int) -> None:
        self.left = count
        self.freed = anyio.Event()
        # In the order in which they began.
        self._coming: list[Upload] = []

    @contextmanager
    def upload(self, seconds: float) -> Iterator[Upload]:
        """Keep an upload's memory until the end of the block.

        Args:
            seconds: That it may take.

        Yields:
            The upload, to be read inside of its scope.
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
        """Note that an upload is whole, and is answered now.

        Args:
            upload: It.
        """
        if upload in self._coming:
            self._coming.remove(upload)

    def break_off_oldest(self, asking: Upload) -> None:
        """Break off the upload that began first, if it has had its time.

        Args:
            asking: Who needs memory.
        """
        latest = anyio.current_time() - TIMEOUT_S
        for upload in self._coming:
            if upload is not asking and upload.held and upload.began <= latest:
                upload.broken_off = True
                upload.scope.cancel()
                self.mark_complete(upload)
                return
