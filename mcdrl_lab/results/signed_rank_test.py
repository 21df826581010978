"""Wilcoxon's signed-rank test of differences.

Not scipy's, for two reasons: scipy 1.17 chooses between the exact distribution and the
normal one by the number of all differences, zeros among them, which it then leaves out;
and ``scipy.stats`` takes as long to import as all else that a comparison needs.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

# Above this the normal distribution is close enough, as in scipy.
MAX_EXACT = 50


def signed_rank_p(differences: np.ndarray) -> float:
    """Two-sided p value of Wilcoxon's signed-rank test.

    Zeros are left out, as Wilcoxon did; equal sizes share the mean of their ranks. For
    up to ``MAX_EXACT`` differences the distribution is exact, given these ranks; above,
    it is the normal one with the variance corrected for ties.

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
    # The variance of the sum of the ranks that are positive, each with a half chance.
    deviation = np.sqrt((ranks**2).sum()) / 2
    return float(2 * ndtr(-abs(positive - ranks.sum() / 2) / deviation))


def _exact(ranks: np.ndarray, smaller: float) -> float:
    """Chance of a sum of ranks as small as this one, on either side."""
    # Mean ranks are halves.
    doubled = np.rint(2 * ranks).astype(int)
    chances = np.zeros(doubled.sum() + 1)
    chances[0] = 1.0
    for rank in doubled:
        shifted = np.zeros_like(chances)
        shifted[rank:] = chances[: len(chances) - rank]
        chances = (chances + shifted) / 2
    return float(min(1.0, 2 * chances[: round(2 * smaller) + 1].sum()))
