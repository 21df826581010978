"""Pixel counts of one image by lesion probability, truth and distance to an outline."""

import math

import cv2
import numpy as np
import torch
from torch import Tensor

from mcdrl_common.calibration_scores import LEVELS

from .surface import tolerance_in_pixels

BORDER_WIDTH = '1%'
"""Width of a lesion's border on either side of its outline: share of the diagonal."""


def calibration_histograms(
    probability: Tensor, foreground: Tensor, valid: Tensor
) -> np.ndarray:
    """Count the pixels of one image.

    A pixel is near an outline if a pixel of the other kind (lesion or not) is within
    1 % of the image's diagonal, and at least one pixel.

    Args:
        probability: Lesion probability in [0, 1], (H, W).
        foreground: Boolean (H, W), true lesion.
        valid: Boolean (H, W), pixels that count.

    Returns:
        int32 (2, 2, 1001): away from (0) or near (1) an outline, without or with
        lesion, level round(1000 p).
    """
    near = torch.from_numpy(near_outline(foreground.cpu().numpy()))
    level = (probability.double() * (LEVELS - 1)).round().long()
    row = 2 * near.to(foreground.device).long() + foreground.long()
    # Row 4 collects the ignored pixels: cheaper than selecting the others.
    row = torch.where(valid, row, 4)
    counted = torch.bincount((row * LEVELS + level).flatten(), minlength=5 * LEVELS)
    counts = counted.cpu().numpy().astype(np.int32)
    return counts.reshape(5, LEVELS)[:4].reshape(2, 2, LEVELS)


def near_outline(foreground: np.ndarray) -> np.ndarray:
    """Pixels near the outline of a lesion, see :func:`calibration_histograms`.

    Args:
        foreground: Boolean (H, W).

    Returns:
        Boolean (H, W); all False if the image has no lesion or is all lesion.
    """
    near = np.zeros(foreground.shape, bool)
    if foreground.all() or not foreground.any():
        return near
    width = max(1.0, tolerance_in_pixels(BORDER_WIDTH, *foreground.shape))
    window = _around(foreground, math.floor(width) + 1)
    part = foreground[window]
    for kind in (part, ~part):
        # Distance of each pixel of this kind to the nearest one of the other.
        distance = cv2.distanceTransform(
            kind.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
        near[window] |= kind & (distance <= width)
    return near


def _around(foreground: np.ndarray, margin: int) -> tuple[slice, slice]:
    """The bounding box of the lesions with a margin, clipped to the image.

    Only this part needs to be computed: no pixel outside is near a lesion, and the
    nearest healthy pixel of any lesion pixel is inside.
    """
    rows, columns = (np.flatnonzero(foreground.any(axis=axis)) for axis in (1, 0))
    top, left = (max(int(found[0]) - margin, 0) for found in (rows, columns))
    bottom, right = (int(found[-1]) + margin + 1 for found in (rows, columns))
    return slice(top, bottom), slice(left, right)
