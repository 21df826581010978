"""Display times of a video's frames, converted to a constant frame rate."""

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
    """Source frames in a video of constant frame rate.

    Attributes:
        rate: Frames per second.
        counts: How often each source frame is written; 1 for frames beyond the list.
    """

    rate: float
    counts: tuple[int, ...]

    def count(self, number: int) -> int:
        """How often a frame is written.

        Args:
            number: Number of the frame, from 1.
        """
        return self.counts[number - 1] if number <= len(self.counts) else 1


def frame_times(file: InputFile) -> tuple[float, ...]:
    """Seconds from the first frame, by the time stamps in the file.

    This decodes the whole file. Without increasing time stamps, the file's frame rate
    is used.

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
    """Keep the display times of frames in a video of constant frame rate.

    OpenCV only writes a constant frame rate. Frames that lasted longer are repeated;
    the last one lasts the median duration.

    Args:
        times: From :func:`frame_times`.
        rate: Frames per second of the source; kept if its frames have equal durations.
    """
    gaps = [later - earlier for earlier, later in pairwise(times)]
    if not gaps or max(gaps) - min(gaps) <= _ROUNDING_S:
        return ShownFrames(rate, (1,) * len(times))
    rate = min(1 / min(gaps), _HIGHEST_RATE)
    counts, written = [], 0
    for end in [*times[1:], times[-1] + median(gaps)]:
        # At least once, even if frames come faster than the highest rate.
        counts.append(max(1, round(end * rate) - written))
        written += counts[-1]
    return ShownFrames(rate, tuple(counts))
