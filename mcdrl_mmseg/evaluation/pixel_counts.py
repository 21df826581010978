"""Pixel counts of a predicted and a true label map.

All counts use ``bincount``, so that they depend neither on the order of pixels nor on
the device.
"""

import numpy as np
import torch
from torch import Tensor

from mcdrl_common.overlap_scores import THRESHOLD_STEPS


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
