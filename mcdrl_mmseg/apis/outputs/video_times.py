"""When each frame of a video is shown, and how a constant rate shows them then."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from statistics import median

import cv2

from ..inputs import InputFile, frame_rate
from ..video_files import opened_video

# Containers round times to a millisecond.
_ROUNDING_S = 0.002
_HIGHEST_RATE = 120.0


@dataclass(frozen=True)
class ShownFrames:
    """Frames as a video of constant rate shows them.

    Attributes:
        rate: Frames a second.
        counts: How often each frame of the source is written; 1 for those behind.
    """

    rate: float
    counts: tuple[int, ...]

    def count(self, number: int) -> int:
        """How often a frame is written.

        Args:
            number: Of the frame, from 1.
        """
        return self.counts[number - 1] if number <= len(self.counts) else 1


def frame_times(file: InputFile) -> tuple[float, ...]:
    """Seconds from the first frame, by the time stamps in the file.

    The file is decoded once for it. Where it has no time stamps that grow, frames come
    at its frame rate.

    Args:
        file: A video.

    Raises:
        ImageError: It cannot be read.
    """
    stamp = file.path.stat().st_mtime_ns if file.path.exists() else 0
    return _times(os.fspath(file.path), stamp, frame_rate(file))


@lru_cache(maxsize=4)
def _times(path: str, stamp: int, rate: float) -> tuple[float, ...]:
    times = []
    with opened_video(Path(path)) as video:
        while video.grab():
            times.append(video.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    if any(later <= earlier for earlier, later in pairwise(times)):
        return tuple(number / rate for number in range(len(times)))
    return tuple(time - times[0] for time in times)


def at_constant_rate(times: Sequence[float], rate: float) -> ShownFrames:
    """Show frames when they were shown, in a video whose frames last alike.

    OpenCV writes no other. Frames that lasted longer are repeated; the last lasts as
    long as half of them do.

    Args:
        times: Of :func:`frame_times`.
        rate: Frames a second of the source, kept where its frames last alike.
    """
    gaps = [later - earlier for earlier, later in pairwise(times)]
    if not gaps or max(gaps) - min(gaps) <= _ROUNDING_S:
        return ShownFrames(rate, (1,) * len(times))
    rate = min(1 / min(gaps), _HIGHEST_RATE)
    counts, written = [], 0
    for end in [*times[1:], times[-1] + median(gaps)]:
        # Every frame is there, also where they come faster than the highest rate.
        counts.append(max(1, round(end * rate) - written))
        written += counts[-1]
    return ShownFrames(rate, tuple(counts))
