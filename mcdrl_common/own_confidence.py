"""Confidence of a network in its own mask, without ground truth."""

from __future__ import annotations

import numpy as np

from .metric_names import CONFIDENCES


def own_confidence(
    probability: np.ndarray, marked: np.ndarray, valid: np.ndarray | None = None
) -> dict[str, float | None]:
    """Two measures of a network's confidence in its mask.

    Args:
        probability: Lesion probability in [0, 1], (H, W).
        marked: Boolean (H, W), the predicted lesion.
        valid: Boolean (H, W), pixels that count; None counts all.

    Returns:
        ``self_dice``, 2 sum(p m) / (sum(p) + sum(m)), is the soft Dice of the mask m
        with the probability p: roughly the Dice that the network itself expects. It is
        0 for an empty mask, even if p is 0 everywhere. ``mean_confidence`` is the mean
        over pixels of max(p, 1 - p). Both are None if no pixel counts.
    """
    if valid is not None:
        probability, marked = probability[valid], marked[valid]
    if not probability.size:
        return dict.fromkeys(CONFIDENCES)
    p = probability.astype(np.float64)
    area = float(np.count_nonzero(marked))
    overlap = 2 * float(p[marked].sum()) / (float(p.sum()) + area) if area else 0.0
    return dict(self_dice=overlap, mean_confidence=float(np.maximum(p, 1 - p).mean()))
