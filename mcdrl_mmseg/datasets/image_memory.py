"""Keeps loaded images in memory for later epochs."""

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
"""Largest memory for one data set; images beyond it are loaded from file each time."""

_PACKAGES_OF_CLASSES = ('mmcv', 'mmseg', 'mcdrl_mmseg')
# Columns of an image's entry: stamp, offset and length in bytes.
_STAMP, _BEGIN, _LENGTH = range(3)


class ImageMemory:
    """Results of a pipeline's loading steps, one for each image.

    The memory is shared with processes that are forked later. MMEngine starts new
    dataloader workers in every epoch, which can therefore use the images that earlier
    workers loaded. Copies, and workers on platforms without fork, start with an empty
    memory.

    An entry is valid only for the same sample, unchanged files and unchanged steps.
    Each :meth:`get` returns new arrays, which later steps may change in place.

    Args:
        count: Number of images.
        at_once: Whether to keep an image at its first load; otherwise at its second
            load, which a test never reaches.
        limit_bytes: Largest memory to use.
    """

    def __init__(
        self, count: int, at_once: bool = True, limit_bytes: int = LIMIT_BYTES
    ) -> None:
        self._arguments = (count, at_once, limit_bytes)
        self._at_once = at_once
        # The system allocates a page only when it is first written to.
        self._table = np.frombuffer(_shared(24 * count + 8), np.int64)
        self._entries = self._table[1:].reshape(count, 3)
        self._bytes = memoryview(_shared(limit_bytes))
        # From a context, so that the default start method is not changed.
        methods = multiprocessing.get_all_start_methods()
        method = 'fork' if 'fork' in methods else None
        self._lock = multiprocessing.get_context(method).Lock()

    def __reduce__(self) -> tuple:
        return ImageMemory, self._arguments

    def get(self, index: int, stamp: int) -> dict[str, Any] | None:
        """The stored result of an image; None if there is none or it is outdated.

        Args:
            index: Number of the image.
            stamp: See :func:`stamp_of`.
        """
        known, begin, length = self._entries[index].tolist()
        if known != stamp or not length:
            return None
        return pickle.loads(self._bytes[begin : begin + length])

    def put(self, index: int, stamp: int, results: dict[str, Any]) -> None:
        """Store an image, if there is room.

        Args:
            index: Number of the image.
            stamp: See :func:`stamp_of`.
            results: Results of the loading steps.
        """
        entry = self._entries[index]
        if not self._at_once and entry[_STAMP] != stamp:
            entry[_LENGTH] = 0
            entry[_STAMP] = stamp
            return
        content = pickle.dumps(results, pickle.HIGHEST_PROTOCOL)
        # With a timeout: a worker killed in the block below never releases the lock.
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
    # Reserve no swap for memory that may never be used.
    return mmap.mmap(-1, size, flags=flags | getattr(mmap, 'MAP_NORESERVE', 0))


def leading_steps(transforms: Sequence[Any]) -> int:
    """Number of steps at the start of a pipeline that are deterministic.

    Args:
        transforms: The pipeline's steps; steps of other packages never count.
    """
    for count, step in enumerate(transforms):
        kind = type(step)
        own = kind.__module__.partition('.')[0] in _PACKAGES_OF_CLASSES
        if not own or kind.__name__ not in CACHEABLE:
            return count
    return len(transforms)


def stamp_of(info: dict[str, Any], steps: Sequence[Any]) -> int | None:
    """Hash of everything that an image's loading depends on; None if not known.

    Args:
        info: The sample: its files, and how to read them.
        steps: The loading steps.

    Returns:
        A 64-bit number, never 0. It changes with the paths, sizes and modification
        times of the files and with the steps.
    """
    facts: list[Any] = [repr(info), repr(steps)]
    for key in PATHS:
        if info.get(key) is not None:
            try:
                status = os.stat(info[key])
            except (OSError, TypeError):
                # Not a local file.
                return None
            facts += [status.st_size, status.st_mtime_ns]
    return hash(tuple(facts)) or 1
