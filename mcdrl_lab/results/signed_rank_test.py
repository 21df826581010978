"""Wilcoxon's signed-rank test of differences.

scipy's version is not used, for two reasons. scipy 1.17 counts zeros, which it then
drops, when it chooses between the exact and the normal distribution. And importing
``scipy.stats`` takes as long as everything else that a comparison imports.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

# Above this the normal distribution is close enough, as in scipy.
MAX_EXACT = 50


def signed_rank_p(differences: np.ndarray) -> float:
    """Two-sided p value of Wilcoxon's signed-rank test.

    Zeros are dropped, as by Wilcoxon; equal absolute differences get the mean of their
    ranks. For up to ``MAX_EXACT`` differences the distribution is exact, given these
    ranks; above, it is normal with the variance corrected for ties.

    Args:
        differences: (n,).

    Returns:
        The p value; 1.0 if every difference is zero.
    """
    differences = np.asarray(differences, dtype=np.float64)
    differences = differences[differences != 0]
    if not differences.size:
        return 1.0
    _, place, sizes = np.unique(
        np.abs(differences), return_inverse=True, return_counts=True
    )
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[place]
    positive = ranks[differences > 0].sum()
    if differences.size <= MAX_EXACT:
        return _exact(ranks, min(positive, ranks.sum() - positive))
    # Standard deviation of the sum of positive ranks, if each sign has probability 1/2.
    deviation = np.sqrt((ranks**2).sum()) / 2
    return float(2 * ndtr(-abs(positive - ranks.sum() / 2) / deviation))


def _exact(ranks: np.ndarray, smaller: float) -> float:
    """Two-sided probability of a rank sum that is at most ``smaller``."""
    # Doubled, because mean ranks are multiples of one half.
    doubled = np.rint(2 * ranks).astype(int)
    chances = np.zeros(doubled.sum() + 1)
    chances[0] = 1.0
    for rank in doubled:
        shifted = np.zeros_like(chances)
        shifted[rank:] = chances[: len(chances) - rank]
        chances = (chances + shifted) / 2
    return float(min(1.0, 2 * chances[: round(2 * smaller) + 1].sum()))
