"""Possible positions of a crop of an image, with or without a lesion."""

from __future__ import annotations

import cv2
import numpy as np

from .mask_format import is_lesion

_DARKEST_VIEW = 25  # of 255: pixels darker in all channels are the frame's border
_MIN_LESION = 0.5


def crop_positions(
    image: np.ndarray,
    labels: np.ndarray,
    size: tuple[int, int],
    with_lesion: bool,
    min_view: float,
) -> np.ndarray:
    """Possible positions of the upper left corner of a crop.

    A crop with a lesion contains at least half of the lesions' area, or lesions fill at
    least half of the crop. A crop without a lesion contains neither lesions nor ignored
    pixels, which may be lesion.

    Args:
        image: (H, W) or (H, W, C) uint8.
        labels: (H, W), 0 for healthy tissue.
        size: Height and width of the crop.
        with_lesion: Whether the crop shall contain a lesion.
        min_view: Least share of a crop inside the field of view, that is, outside the
            black border of an endoscope's frame.

    Returns:
        (H - h + 1, W - w + 1) bool.
    """
    view = image.reshape(*labels.shape, -1).max(axis=2) > _DARKEST_VIEW
    area = size[0] * size[1]
    in_view = _window_sums(view, size) >= min_view * area
    if not with_lesion:
        return in_view & (_window_sums(labels != 0, size) == 0)
    lesion = is_lesion(labels)
    total = int(lesion.sum())
    if total == 0:
        return np.zeros_like(in_view)
    least = _MIN_LESION * min(total, area)
    return in_view & (_window_sums(lesion, size) >= least)


def _window_sums(there: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Number of True pixels in every window, by the window's upper left corner."""
    height, width = size
    sums = cv2.integral(there.astype(np.uint8))
    top, bottom = sums[:-height], sums[height:]
    return bottom[:, width:] - bottom[:, :-width] - top[:, width:] + top[:, :-width]
