"""Loaded images kept in memory, for the epochs after the first."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np

from .transforms.cached_loading import CACHEABLE, PATHS

LIMIT_BYTES = 256 * 10**6
"""Memory that the images of one data set may take; the others are loaded each time."""

_PACKAGES_OF_CLASSES = ('mmcv', 'mmseg', 'mcdrl_mmseg')
# Of each image: what it was loaded from, where it begins, how long it is.
_STAMP, _BEGIN, _LENGTH = range(3)


class ImageMemory:
    """What the loading steps of a pipeline made of each image.

    The memory is shared with processes that are forked later: data workers, which
    MMEngine starts anew for every epoch, find what those before them loaded. Copies,
    and workers of platforms without fork, begin with an empty one.

    An entry holds for one sample, its files as they are now, and the steps as they are
    now. Each :meth:`get` gives arrays of its own, which later steps may change in
    place.

    Args:
        count: Number of images.
        at_once: Keep an image when it is first loaded; otherwise when it is loaded for
            the second time, as those of a test never are.
        limit_bytes: Memory to use at most.
    """

    def __init__(
        self, count: int, at_once: bool = True, limit_bytes: int = LIMIT_BYTES
    ) -> None:
        self._arguments = (count, at_once, limit_bytes)
        self._at_once = at_once
        # A page is taken from the system when it is first written to.
        self._table = np.frombuffer(_shared(24 * count + 8), np.int64)
        self._entries = self._table[1:].reshape(count, 3)
        self._bytes = memoryview(_shared(limit_bytes))
        # Of a context: the default start method stays for others to choose.
        methods = multiprocessing.get_all_start_methods()
        method = 'fork' if 'fork' in methods else None
        self._lock = multiprocessing.get_context(method).Lock()

    def __reduce__(self) -> tuple:
        return ImageMemory, self._arguments

    def get(self, index: int, stamp: int) -> dict[str, Any] | None:
        """What was kept of an image; None where that is nothing, or is outdated.

        Args:
            index: Number of the image.
            stamp: See :func:`stamp_of`.
        """
        known, begin, length = self._entries[index].tolist()
        if known != stamp or not length:
            return None
        return pickle.loads(self._bytes[begin : begin + length])

    def put(self, index: int, stamp: int, results: dict[str, Any]) -> None:
        """Keep an image, if there is room.

        Args:
            index: Number of the image.
            stamp: See :func:`stamp_of`.
            results: What the loading steps gave.
        """
        entry = self._entries[index]
        if not self._at_once and entry[_STAMP] != stamp:
            entry[_LENGTH] = 0
            entry[_STAMP] = stamp
            return
        content = pickle.dumps(results, pickle.HIGHEST_PROTOCOL)
        # A worker that was killed meanwhile would hold the lock for ever.
        if not self._lock.acquire(timeout=1.0):
            return
        try:
            begin = int(self._table[0])
            if begin + len(content) > len(self._bytes):
                return
            self._table[0] += len(content)
        finally:
            self._lock.release()
        entry[_LENGTH] = 0
        self._bytes[begin : begin + len(content)] = content
        entry[_STAMP], entry[_BEGIN] = stamp, begin
        entry[_LENGTH] = len(content)


def _shared(size: int) -> mmap.mmap:
    if not hasattr(mmap, 'MAP_SHARED'):
        return mmap.mmap(-1, size)
    flags = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS
    # Nothing is set aside for what may never be needed.
    return mmap.mmap(-1, size, flags=flags | getattr(mmap, 'MAP_NORESERVE', 0))


def leading_steps(transforms: Sequence[Any]) -> int:
    """How many steps at the beginning of a pipeline give the same each time.

    Args:
        transforms: The pipeline's steps; those of others' packages may do anything.
    """
    for count, step in enumerate(transforms):
        kind = type(step)
        own = kind.__module__.partition('.')[0] in _PACKAGES_OF_CLASSES
        if not own or kind.__name__ not in CACHEABLE:
            return count
    return len(transforms)


def stamp_of(info: dict[str, Any], steps: Sequence[Any]) -> int | None:
    """Tells what an image's loading depends on; None where that cannot be told.

    Args:
        info: The sample: its files, and how they are to be read.
        steps: The loading steps.

    Returns:
        A number of 64 bits, that of other files, other content of the files, and other
        steps being another one. It is never 0.
    """
    facts: list[Any] = [repr(info), repr(steps)]
    for key in PATHS:
        if info.get(key) is not None:
            try:
                status = os.stat(info[key])
            except (OSError, TypeError):
                # A storage of another kind.
                return None
            facts += [status.st_size, status.st_mtime_ns]
    return hash(tuple(facts)) or 1
