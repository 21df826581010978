"""Trivial baselines without a network: a constant mask and a centre prior.

Both are maps in relative coordinates that are applied to every image of a site. The map
and its threshold are derived from the other sites only, like a network's weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from mcdrl_common.mask_format import IGNORED, is_lesion
from mcdrl_lab.data.lesion_masks import read_labels
from mcdrl_lab.data.whole_sites import entries_of

GRID = 64
"""Number of rows, and of columns, of a map."""
LEVELS = 256
"""Number of candidate thresholds: 0/255 ... 255/255."""


@dataclass(frozen=True)
class TrueMask:
    """The true mask of an image.

    Args:
        site: Site of the image.
        lesion: (H, W) bool, at native size.
        ignored: (H, W) bool, pixels that are excluded from all scores; None excludes
            none.
    """

    site: str
    lesion: np.ndarray
    ignored: np.ndarray | None = None

    @cached_property
    def counted(self) -> np.ndarray:
        """(H, W) bool, pixels with ground truth."""
        return np.ones_like(self.lesion) if self.ignored is None else ~self.ignored

    @cached_property
    def has_lesion(self) -> bool:
        """Whether any pixel is lesion."""
        return bool(self.lesion.any())


@dataclass(frozen=True)
class ReferenceScore:
    """Score of a trivial baseline at one held-out site.

    Args:
        reference: ``'constant_mask'`` or ``'centre_prior'``.
        site: The held-out site.
        threshold: Threshold chosen on the other sites, 0 to 1.
        dice: Mean Dice of its images with a lesion, 0 to 1; NaN without any.
        dice_all: Mean Dice of all its images, where an empty prediction of a
            lesion-free image counts 1.
        false_positive_rate: Share of its lesion-free images in which a lesion is
            predicted; NaN without any.
    """

    reference: str
    site: str
    threshold: float
    dice: float
    dice_all: float
    false_positive_rate: float


def read_true_masks(root: Path) -> list[TrueMask]:
    """Read all masks of a folder of sites.

    Args:
        root: Folder in the layout of the converters.

    Raises:
        VerificationError: The folder has no site.
        ConversionError: A site or an image cannot be used.
        MaskError: A mask cannot be read.
    """
    masks = []
    for entry in entries_of(root):
        labels = read_labels(entry)
        ignored = labels == IGNORED
        kept = ignored if ignored.any() else None
        masks.append(TrueMask(entry.site, is_lesion(labels), kept))
    return masks


def constant_map(masks: Sequence[TrueMask]) -> np.ndarray:
    """Mean mask of images with a lesion.

    Args:
        masks: Masks of the training sites.

    Returns:
        (GRID, GRID) float64: how often each position is lesion, scaled to a maximum of
        1.
    """
    total = np.zeros((GRID, GRID))
    for mask in masks:
        if mask.has_lesion:
            total += _resized(mask.lesion.astype(np.float64), (GRID, GRID))
    return total / max(total.max(), 1e-12)


def centre_map() -> np.ndarray:
    """Map that decreases linearly with the distance from the image's centre.

    Returns:
        (GRID, GRID) float64, 1 at the centre and 0 in the corners.
    """
    steps = (np.arange(GRID) + 0.5) / GRID * 2 - 1
    distance = np.hypot(*np.meshgrid(steps, steps, indexing='ij'))
    return 1 - distance / distance.max()


def best_threshold(relative_map: np.ndarray, masks: Sequence[TrueMask]) -> float:
    """The threshold with the best mean Dice of images with a lesion.

    Args:
        relative_map: (GRID, GRID), 0 to 1.
        masks: Masks of the training sites.
    """
    total = np.zeros(LEVELS)
    for mask in masks:
        if not mask.has_lesion:
            continue
        levels = _levels(relative_map, mask.lesion.shape)
        inside = np.bincount(levels[mask.lesion], minlength=LEVELS)
        healthy = ~mask.lesion & mask.counted
        outside = np.bincount(levels[healthy], minlength=LEVELS)
        # Number of predicted pixels at each threshold: those of at least its level.
        true = inside[::-1].cumsum()[::-1]
        false = outside[::-1].cumsum()[::-1]
        total += 2 * true / (true + false + inside.sum())
    return int(total.argmax()) / (LEVELS - 1)


def score_references(masks: Sequence[TrueMask]) -> list[ReferenceScore]:
    """Score both baselines with every site held out in turn.

    Args:
        masks: Masks of all sites.

    Returns:
        Two scores per site, sites in the order of their names.
    """
    scores = []
    for site in sorted({mask.site for mask in masks}):
        training = [mask for mask in masks if mask.site != site]
        test = [mask for mask in masks if mask.site == site]
        for name, relative_map in (
            ('constant_mask', constant_map(training)),
            ('centre_prior', centre_map()),
        ):
            threshold = best_threshold(relative_map, training)
            scores.append(_score(name, site, relative_map, threshold, test))
    return scores


def _score(
    name: str,
    site: str,
    relative_map: np.ndarray,
    threshold: float,
    test: Sequence[TrueMask],
) -> ReferenceScore:
    level = round(threshold * (LEVELS - 1))
    dice, false_positives = [], []
    for mask in test:
        if not mask.counted.any():
            continue
        predicted = _levels(relative_map, mask.lesion.shape) >= level
        predicted &= mask.counted
        if mask.has_lesion:
            both = (predicted & mask.lesion).sum()
            dice.append(2 * both / (predicted.sum() + mask.lesion.sum()))
        else:
            false_positives.append(float(predicted.any()))
    everything = [*dice, *(1 - wrong for wrong in false_positives)]
    return ReferenceScore(
        name, site, threshold, _mean(dice), _mean(everything), _mean(false_positives)
    )


def _levels(relative_map: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map resized to an image, as integer levels."""
    return np.rint(_resized(relative_map, size) * (LEVELS - 1)).astype(np.int64)


def _resized(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize to another height and width; by area if the height shrinks."""
    shrinks = size[0] < values.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(values, size[::-1], interpolation=method)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float('nan')
