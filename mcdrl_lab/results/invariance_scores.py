"""Agreement and Dice of predictions on one scene under two conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True)
class PairScores:
    """Scores of predictions on scenes without and with a confounder, in [0, 1].

    Means over scenes; NaN if the value is defined for no scene.

    Attributes:
        agreement: Dice between the two predictions of a scene, over the scenes where
            at least one of them is not empty. NaN for a confounder that changes the
            mask: the predictions should then differ.
        dice_absent: Dice of the prediction without the confounder.
        dice_present: Dice of the prediction with the confounder.
        both_empty: Share of scenes with two empty predictions, which agree but find no
            lesion.
        scenes: Number of scenes.
    """

    agreement: float
    dice_absent: float
    dice_present: float
    both_empty: float
    scenes: int


def mask_dice(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Dice of pairs of masks.

    Args:
        first: (n, h, w) bool.
        second: (n, h, w) bool.

    Returns:
        (n,) float64; NaN where both masks are empty.

    Raises:
        ValueError: Shapes differ.
    """
    if first.shape != second.shape or first.ndim != 3:
        raise ValueError(
            f'masks must both be (n, h, w), got {first.shape} and {second.shape}.'
        )
    both = np.count_nonzero(first & second, axis=(1, 2))
    sizes = np.count_nonzero(first, axis=(1, 2)) + np.count_nonzero(second, axis=(1, 2))
    out = np.full(len(first), np.nan)
    return np.divide(2 * both, sizes, out=out, where=sizes > 0)


def pair_scores(
    absent: np.ndarray,
    present: np.ndarray,
    absent_truth: np.ndarray,
    present_truth: np.ndarray,
    *,
    same_mask: bool,
) -> PairScores:
    """Score predictions on the same scenes without and with a confounder.

    Args:
        absent: (n, h, w) bool, predictions without the confounder.
        present: (n, h, w) bool, predictions on the same scenes with it.
        absent_truth: (n, h, w) bool, true masks without it; none is empty.
        present_truth: (n, h, w) bool, true masks with it; none is empty.
        same_mask: Whether the confounder leaves the true mask unchanged.

    Raises:
        ValueError: Shapes differ, or the truth changes although it should not.
    """
    if same_mask and not np.array_equal(absent_truth, present_truth):
        raise ValueError('same_mask=True, but the confounder changes the mask.')
    agreement = mask_dice(absent, present)
    return PairScores(
        agreement=_mean(agreement) if same_mask else float('nan'),
        dice_absent=_mean(mask_dice(absent, absent_truth)),
        dice_present=_mean(mask_dice(present, present_truth)),
        both_empty=float(np.isnan(agreement).mean()),
        scenes=len(absent),
    )


def overall_scores(scores: Mapping[str, PairScores]) -> PairScores:
    """Mean of each value over the confounders for which it is defined.

    Args:
        scores: Confounder -> its scores.
    """
    rows: Sequence[dict] = [asdict(item) for item in scores.values()]
    names = ('agreement', 'dice_absent', 'dice_present', 'both_empty')
    means = {name: _mean(np.array([row[name] for row in rows])) for name in names}
    return PairScores(**means, scenes=sum(row['scenes'] for row in rows))


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float('nan')
