"""Lesion-wise counts of an image: lesions, found lesions and false regions.

The counts of an image are a dict for JSON. For each of :data:`SIZES` it has the list
[lesions, found, found with IoU of at least 0.5]; ``predicted``, ``false`` and
``false_iou50`` are numbers of predicted regions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

SIZES = ('small', 'medium', 'large')
SIZE_BOUNDS = (0.01, 0.1)
"""Smallest shares of the image at which a lesion counts as medium, and as large."""
PREDICTED = ('predicted', 'false', 'false_iou50')
_MOST = 10**9


def sizes_of(shares: np.ndarray) -> np.ndarray:
    """Sizes of lesions, as indices of :data:`SIZES`.

    Args:
        shares: Areas of the lesions as shares of the image, (n,).
    """
    # Imported late: commands that only read counts do not need it.
    import numpy as np

    return np.searchsorted(SIZE_BOUNDS, shares, side='right')


def recall(counts: Iterable[Mapping[str, Any]], metric: str) -> float | None:
    """Share of the lesions of some images that were found.

    Args:
        counts: Counts of the images.
        metric: ``lesion_recall``, ``lesion_recall_iou50`` or ``lesion_recall_SIZE``.

    Returns:
        A share, or None without such a lesion.
    """
    ending = metric.removeprefix('lesion_recall').removeprefix('_')
    sizes = (ending,) if ending in SIZES else SIZES
    column = 2 if ending == 'iou50' else 1
    lesions = [image[size] for image in counts for size in sizes]
    total = sum(own[0] for own in lesions)
    return sum(own[column] for own in lesions) / total if total else None


def false_lesions(counts: Mapping[str, Any], metric: str) -> int:
    """Predicted regions of an image that match no lesion.

    Args:
        counts: Counts of the image.
        metric: ``false_lesions`` or ``false_lesions_iou50``.
    """
    return counts[metric.replace('_lesions', '')]


def is_counts(value: object) -> bool:
    """Whether a value has the layout of an image's counts."""
    if not isinstance(value, dict):
        return False
    sizes = [own for size in SIZES if isinstance(own := value.get(size), list)]
    if [len(own) for own in sizes] != [3] * len(SIZES):
        return False
    numbers = [*(n for own in sizes for n in own), *map(value.get, PREDICTED)]
    if not all(type(n) is int and 0 <= n <= _MOST for n in numbers):
        return False
    return all(lesions >= max(found, close) for lesions, found, close in sizes)
