"""Scores of overlap between a predicted and a true label map, from counts.

Every function here is pure; scores are computed in float64 from integer counts.
"""

from typing import Any, NamedTuple

import numpy as np

THRESHOLD_STEPS = 256
"""Number of thresholds of the mean-over-thresholds scores: 0/255 ... 255/255."""


class Counts(NamedTuple):
    """Pixel counts by agreement: integers, or integer arrays of one shape.

    Attributes:
        tp: Foreground in both maps.
        fp: Foreground in the prediction only.
        fn: Foreground in the reference only.
        tn: Foreground in neither.
    """

    tp: Any
    fp: Any
    fn: Any
    tn: Any


def foreground_counts(matrix: np.ndarray) -> Counts:
    """Counts of the union of all classes but the background (class 0).

    A pixel of one lesion class predicted as another one is a true positive here:
    it is foreground in both maps.

    Args:
        matrix: Confusion matrix (K, K), rows are true classes.

    Returns:
        Python integers.
    """
    return Counts(
        tp=int(matrix[1:, 1:].sum()),
        fp=int(matrix[0, 1:].sum()),
        fn=int(matrix[1:, 0].sum()),
        tn=int(matrix[0, 0]),
    )


def class_counts(matrix: np.ndarray) -> Counts:
    """Counts of every class against all others.

    Args:
        matrix: Confusion matrix (K, K), rows are true classes.

    Returns:
        Arrays of shape (K,).
    """
    tp = np.diag(matrix)
    fp = matrix.sum(axis=0) - tp
    fn = matrix.sum(axis=1) - tp
    return Counts(tp=tp, fp=fp, fn=fn, tn=matrix.sum() - tp - fp - fn)


def overlap_scores(counts: Counts) -> dict[str, np.ndarray]:
    """Dice, IoU, accuracy, precision and recall of counts.

    Dice, IoU, precision and recall describe how well existing foreground was
    found: without a foreground pixel in the reference they are undefined (NaN),
    whatever was predicted. With foreground in the reference and none predicted,
    all four are 0 (precision, which would be 0 / 0, by definition).

    Args:
        counts: Scalars or arrays of one shape.

    Returns:
        ``dice``, ``iou``, ``accuracy``, ``precision``, ``recall``; float64 of the
        shape of the counts. Accuracy is NaN only where there is no pixel at all.
    """
    tp, fp, fn, tn = (np.asarray(count, dtype=np.float64) for count in counts)
    exists = tp + fn > 0
    return dict(
        dice=_ratio(2 * tp, 2 * tp + fp + fn, exists),
        iou=_ratio(tp, tp + fp + fn, exists),
        accuracy=_ratio(tp + tn, tp + fp + fn + tn, tp + fp + fn + tn > 0),
        precision=_ratio(tp, np.maximum(tp + fp, 1), exists),
        recall=_ratio(tp, tp + fn, exists),
    )


def mean_over_thresholds(histograms: np.ndarray) -> tuple[float, float]:
    """Dice and IoU of one image, averaged over 256 thresholds.

    With threshold k = 0 ... 255, pixels with a level of at least k are foreground. At
    k = 0 that is the whole image, as in the evaluation code of the polyp literature
    (PraNet, Fan et al., MICCAI 2020).

    Args:
        histograms: Output of :func:`threshold_histograms`.

    Returns:
        Mean Dice and mean IoU; NaN without true foreground.
    """
    at_least = np.cumsum(histograms[:, ::-1], axis=1)
    fp, tp = at_least
    background, foreground = histograms.sum(axis=1)
    scores = overlap_scores(Counts(tp, fp, foreground - tp, background - fp))
    return float(scores['dice'].mean()), float(scores['iou'].mean())


def _ratio(
    numerator: np.ndarray, denominator: np.ndarray, defined: np.ndarray
) -> np.ndarray:
    """Divide where ``defined``, NaN elsewhere."""
    out = np.full(np.shape(denominator), np.nan)
    return np.divide(numerator, denominator, out=out, where=defined)


def none_if_nan(value: float | np.ndarray) -> float | None:
    """A Python float, or None for NaN (which JSON cannot hold)."""
    return None if np.isnan(value) else float(value)
