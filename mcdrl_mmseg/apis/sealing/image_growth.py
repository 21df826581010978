"""Number of pixels that a transform is about to create.

All transforms rely on a few functions of OpenCV, Pillow and NumPy that create an image
of a given size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image

MOST_PIXELS = 4096 * 4096
"""Largest number of pixels that an untrusted pipeline may create by resizing."""


def _resized(
    src: np.ndarray,
    dsize: Sequence[int] | None = None,
    dst: Any = None,
    fx: float = 0,
    fy: float = 0,
    *_: Any,
    **__: Any,
) -> float:
    if dsize:
        return math.prod(dsize)
    return src.shape[0] * src.shape[1] * fx * fy


def _bordered(
    src: np.ndarray, top: int, bottom: int, left: int, right: int, *_: Any, **__: Any
) -> float:
    return (src.shape[0] + top + bottom) * (src.shape[1] + left + right)


def _warped(
    src: np.ndarray, matrix: Any, dsize: Sequence[int], *_: Any, **__: Any
) -> float:
    return math.prod(dsize)


def _resized_by_pillow(
    image: Image.Image, size: Sequence[int], *_: Any, **__: Any
) -> float:
    return math.prod(size)


def _padded(array: np.ndarray, pad_width: Any, *_: Any, **__: Any) -> float:
    array = np.asarray(array)
    widths = np.broadcast_to(np.asarray(pad_width, float), (array.ndim, 2))
    sides = [n + before + after for n, (before, after) in zip(array.shape, widths)]
    # Channels, which come last in pipelines, are not counted.
    return math.prod(sides[:2] if len(sides) == 3 else sides)


GROWERS: tuple[tuple[Any, str, Callable[..., float]], ...] = (
    (cv2, 'resize', _resized),
    (cv2, 'copyMakeBorder', _bordered),
    (cv2, 'warpAffine', _warped),
    (cv2, 'warpPerspective', _warped),
    (Image.Image, 'resize', _resized_by_pillow),
    (np, 'pad', _padded),
)
"""Owner and name of each such function, and the number of pixels of a call."""
