"""How sure a network is of its own mask, without ground truth."""

from __future__ import annotations

import numpy as np

from .metric_names import CONFIDENCES


def own_confidence(
    probability: np.ndarray, marked: np.ndarray, valid: np.ndarray | None = None
) -> dict[str, float | None]:
    """Two measures of how sure a network is of its mask.

    Args:
        probability: Lesion probability in [0, 1], (H, W).
        marked: Boolean (H, W), the predicted lesion.
        valid: Boolean (H, W), pixels that count; None counts all.

    Returns:
        ``self_dice``, 2 sum(p m) / (sum(p) + sum(m)): the soft Dice of the mask m
        with the probability p, or about what Dice the network itself expects of its
        mask. It is 0 where nothing is marked, also where p is 0 everywhere: an empty
        mask overlaps with no lesion. ``mean_confidence``, the mean over pixels of
        max(p, 1 - p). None for both without a pixel that counts.
    """
    if valid is not None:
        probability, marked = probability[valid], marked[valid]
    if not probability.size:
        return dict.fromkeys(CONFIDENCES)
    p = probability.astype(np.float64)
    area = float(np.count_nonzero(marked))
    overlap = 2 * float(p[marked].sum()) / (float(p.sum()) + area) if area else 0.0
    return dict(self_dice=overlap, mean_confidence=float(np.maximum(p, 1 - p).mean()))
