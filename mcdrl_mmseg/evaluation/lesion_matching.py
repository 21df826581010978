"""Matches predicted regions of an image with its lesions."""

import cv2
import numpy as np
from torch import Tensor

from mcdrl_common.lesion_counts import SIZES, sizes_of

MATCHING_IOU = 0.5


def lesion_counts(predicted: Tensor, lesion: Tensor) -> dict:
    """Match connected regions of a prediction with those of the ground truth.

    Diagonal neighbours are joined. A lesion is found if it contains a predicted pixel.
    A predicted region is false if it contains no lesion pixel. By the stricter rule,
    lesion and region match if their IoU is at least 0.5; a region can match only one
    lesion.

    Args:
        predicted: Boolean (H, W), ignored pixels left out.
        lesion: Boolean (H, W), ignored pixels left out.

    Returns:
        The counts, see :mod:`mcdrl_common.lesion_counts`.
    """
    truth, true_areas = _regions(lesion)
    guess, guessed_areas = _regions(predicted)
    both = (truth > 0) & (guess > 0)
    columns = len(guessed_areas)
    pairs, overlap = np.unique(
        truth[both].astype(np.int64) * columns + guess[both], return_counts=True
    )
    of_truth, of_guess = np.divmod(pairs, columns)
    union = true_areas[of_truth] + guessed_areas[of_guess] - overlap
    close = overlap / union >= MATCHING_IOU
    sizes = sizes_of(true_areas[1:] / truth.size)
    # Counts by size of all lesions, of found lesions and of matched lesions.
    chosen = (slice(None), np.unique(of_truth) - 1, np.unique(of_truth[close]) - 1)
    columns_of = [np.bincount(sizes[c], minlength=len(SIZES)) for c in chosen]
    regions = columns - 1
    return dict(
        zip(SIZES, np.stack(columns_of, axis=1).tolist()),
        predicted=regions,
        false=regions - len(np.unique(of_guess)),
        false_iou50=regions - len(np.unique(of_guess[close])),
    )


def _regions(mask: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Region number of each pixel, 0 outside of regions, and areas by number."""
    count, numbers = cv2.connectedComponents(
        mask.cpu().numpy().astype(np.uint8), connectivity=8
    )
    return numbers, np.bincount(numbers.ravel(), minlength=count)
