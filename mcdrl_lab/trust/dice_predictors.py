"""Predictors of an image's Dice without its mask, and how well they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.metrics import roc_auc_score

from .expected_dice import expected_when_held_out, rank_correlation
from .within_sites import Estimate, estimates

CONDITIONS, EMBEDDING, CONFIDENCE, BOTH = (
    'conditions',
    'embedding',
    'confidence',
    'conditions and confidence',
)
"""Predictors: imaging conditions, CLIP's whole embedding of the image, the soft Dice
of the network's mask with its own probability, or the first and the last of these."""


def features_of(
    scores: np.ndarray, embeddings: np.ndarray, confidence: np.ndarray | None
) -> dict[str, np.ndarray]:
    """The features that each predictor gets.

    Args:
        scores: (n, M) condition scores.
        embeddings: (n, d), L2-normalised.
        confidence: (n, 2), ``self_dice`` and ``mean_confidence``; None leaves out the
            predictors that need it. No predictor uses ``mean_confidence``: together
            with ``self_dice`` it did worse on an EndoSim draw that is used in no
            reported result.
    """
    found = {CONDITIONS: scores, EMBEDDING: embeddings}
    if confidence is not None:
        own = confidence[:, :1]
        found |= {CONFIDENCE: own, BOTH: np.concatenate([scores, own], axis=1)}
    return found


def expectations(
    features: Mapping[str, np.ndarray], dice: np.ndarray, sites: Sequence[str]
) -> dict[str, np.ndarray]:
    """Dice that each predictor expects of each image, fitted without the image's site.

    Args:
        features: Predictor -> (n, k).
        dice: (n,) true Dice.
        sites: n names.
    """
    return {
        name: expected_when_held_out(values, dice, sites)
        for name, values in features.items()
    }


def rank_correlations(
    expected: Mapping[str, np.ndarray],
    dice: np.ndarray,
    sites: Sequence[str],
    sequences: Sequence[str | None],
) -> dict[str, Estimate]:
    """Rank correlation of each predictor's expectation with the true Dice.

    Args:
        expected: Predictor -> (n,) expected Dice.
        dice: (n,) true Dice.
        sites: n names.
        sequences: n names, or None.
    """

    def measure(counts: np.ndarray) -> dict[str, float]:
        rows = np.repeat(np.arange(len(dice)), counts)
        return {
            name: rank_correlation(values[rows], dice[rows])
            for name, values in expected.items()
        }

    return estimates(measure, sites, sequences)


def failure_aucs(
    expected: Mapping[str, np.ndarray],
    baseline: str,
    failed: np.ndarray,
    sites: Sequence[str],
    sequences: Sequence[str | None],
) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """How well low values separate the failures from the other images.

    Args:
        expected: Flag -> (n,) values, low where a failure is expected.
        baseline: The flag that the others are compared with.
        failed: (n,) whether the true Dice is too low.
        sites: n names.
        sequences: n names, or None.

    Returns:
        The area under the ROC curve of each flag, and its difference from the
        baseline's area, on the same bootstrap draws; NaN if all images failed, or none.
    """

    def measure(counts: np.ndarray) -> dict[str, float]:
        some = counts[failed].any() and counts[~failed].any()
        areas = {
            name: float(roc_auc_score(failed, -values, sample_weight=counts))
            if some
            else float('nan')
            for name, values in expected.items()
        }
        return areas | {f'{n} less': a - areas[baseline] for n, a in areas.items()}

    found = estimates(measure, sites, sequences)
    return (
        {name: found[name] for name in expected},
        {name: found[f'{name} less'] for name in expected if name != baseline},
    )
