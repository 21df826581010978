"""Overlap of a predicted and a true label map: counts, and scores made of counts.

Every function here is pure. Pixels are only ever counted by ``bincount``; scores
are computed in float64 from integer counts, so they depend neither on the order
of pixels nor on the device.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

THRESHOLD_STEPS = 256
"""Number of thresholds of the mean-over-thresholds scores: 0/255 ... 255/255."""


class Counts(NamedTuple):
    """Pixels by agreement; integers, or integer arrays of one shape.

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


def confusion_matrix(
    labels: Tensor, target: Tensor, num_classes: int, ignore_index: int = 255
) -> np.ndarray:
    """Count the pixels of every (true class, predicted class) pair.

    Args:
        labels: Predicted classes, any shape, values 0 to ``num_classes`` - 1.
        target: True classes, same shape; ``ignore_index`` marks pixels that are
            left out.
        num_classes: Number of classes, the background included.
        ignore_index: Label of pixels without ground truth.

    Returns:
        Integer array (num_classes, num_classes); rows are true classes.

    Raises:
        ValueError: If the shapes differ or a label is out of range.
    """
    if labels.shape != target.shape:
        raise ValueError(
            f'prediction and ground truth differ in size: {tuple(labels.shape)} '
            f'and {tuple(target.shape)}; load the annotations after the resize '
            'step of the test pipeline, so that both have the native size'
        )
    valid = target != ignore_index
    # Ignored pixels become (0, 0) and are subtracted again: selecting the others
    # with a mask would take most of the time.
    target = torch.where(valid, target, 0).long()
    labels = torch.where(valid, labels, 0).long()
    for name, values in (('ground truth', target), ('prediction', labels)):
        if values.numel() and not 0 <= values.min() <= values.max() < num_classes:
            wrong = values[(values < 0) | (values >= num_classes)].unique().tolist()
            raise ValueError(
                f'{name} holds the labels {wrong[:5]}, expected 0 to '
                f'{num_classes - 1} (and {ignore_index} for pixels without ground '
                'truth); check the classes of the dataset and the mask files'
            )
    pairs = torch.bincount(
        (target * num_classes + labels).flatten(), minlength=num_classes**2
    )
    pairs[0] -= valid.numel() - valid.sum()
    return pairs.cpu().numpy().reshape(num_classes, num_classes)


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


def threshold_histograms(
    probability: Tensor, foreground: Tensor, valid: Tensor
) -> np.ndarray:
    """Histograms of the 8-bit foreground probability, by true class.

    Args:
        probability: Foreground probability in [0, 1], any shape.
        foreground: Boolean, same shape, true foreground.
        valid: Boolean, same shape, pixels that count.

    Returns:
        Integer array (2, 256): row 0 over true background, row 1 over true
        foreground; column k counts the pixels with round(255 p) = k.
    """
    level = (probability * (THRESHOLD_STEPS - 1)).round().long()
    # Row 2 collects the ignored pixels: cheaper than selecting the others.
    row = torch.where(valid, foreground.long(), 2)
    counted = torch.bincount(
        (row * THRESHOLD_STEPS + level).flatten(), minlength=3 * THRESHOLD_STEPS
    )
    return counted.cpu().numpy().reshape(3, THRESHOLD_STEPS)[:2]


def mean_over_thresholds(histograms: np.ndarray) -> tuple[float, float]:
    """Dice and IoU of one image, averaged over 256 thresholds.

    Threshold k marks as foreground what has a level of at least k, k = 0 ... 255;
    at k = 0 that is the whole image, as in the evaluation code of the polyp
    literature (PraNet, Fan et al., MICCAI 2020).

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
