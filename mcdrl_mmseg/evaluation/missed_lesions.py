"""Missed share of the lesions of one image, at a grid of thresholds."""

import cv2
import numpy as np
import torch
from torch import Tensor

from mcdrl_common.site_reliability import THRESHOLDS


def missed_shares(probability: Tensor, lesion: Tensor) -> np.ndarray | None:
    """Shares of lesion area and of lesions that each threshold misses.

    A pixel is predicted as lesion if its probability is at least the threshold. A
    lesion is a connected region, diagonal neighbours joined; it is missed if none of
    its pixels is predicted.

    Args:
        probability: Lesion probability in [0, 1], (H, W).
        lesion: Boolean (H, W), true lesion, without ignored pixels.

    Returns:
        (2, number of thresholds) in [0, 1], of area and of lesions, at
        :data:`~mcdrl_common.site_reliability.THRESHOLDS`; None without a lesion.
    """
    mask = lesion.cpu().numpy()
    if not mask.any():
        return None
    # In the precision in which masks are made, so that rounding does not matter.
    p = probability.cpu().to(torch.float32).numpy()[mask]
    count, numbers = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    peaks = np.zeros(count - 1, np.float32)
    np.maximum.at(peaks, numbers[mask] - 1, p)
    grid = np.asarray(THRESHOLDS, np.float32)
    return np.stack([np.searchsorted(np.sort(v), grid) / len(v) for v in (p, peaks)])
