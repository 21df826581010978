"""Turns the values of lesion masks (0/255 or indices) into segmentation labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mcdrl_common import InputError

THRESHOLD = 127
"""Pixels of a 0/255 mask above it are lesion: half of the range, for soft edges."""

JPEG_RIPPLE = 32
"""Largest value of compression artefacts in an empty JPEG mask."""

JPEG_SOFT_SHARE = 0.02
"""JPEG leaves grey levels at edges; a larger share of them is reported."""
IGNORED = 255
"""Label of the pixels without ground truth."""
LOSSY_SUFFIXES = ('.jpg', '.jpeg')

# A label map has few values, which fill areas. A mask with soft edges has many values,
# each in thin lines.
_MAX_LABELS = 16
_FLAT_SHARE = 0.5


class MaskError(InputError, ValueError):
    """A mask that cannot be read as labels; the message names the file."""


@dataclass(frozen=True)
class MaskFormat:
    """Format of the mask files of a site.

    Args:
        lesion_classes: Value in the file -> lesion class. A 0/255 mask has only the
            value 255.
        labels: Value in the file -> segmentation label, for every allowed value.
        binary: Whether the files are 0/255 masks, thresholded at half the range.
    """

    lesion_classes: Mapping[int, str]
    labels: Mapping[int, int]
    binary: bool

    def decode(
        self, mask: np.ndarray, path: str | Path
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        """Turn the values of a file into labels.

        Args:
            mask: (H, W) or (H, W, C) uint8; all channels must agree.
            path: For messages.

        Returns:
            (H, W) uint8 labels, where 255 is ignored in training and evaluation, and
            the names of the lesion classes present.

        Raises:
            MaskError: Not 8 bits, channels that differ, a value without label, or a
                mask of indices instead of 0/255.
        """
        if mask.dtype != np.uint8:
            raise MaskError(f'{path}: {mask.dtype} values; expected 8-bit values.')
        if mask.ndim == 3:
            if (mask != mask[..., :1]).any():
                raise MaskError(f'{path}: a colour mask; expected one channel.')
            mask = mask[..., 0]
        if self.binary:
            present = present_values(mask)
            if set(present) - {0, 255}:
                lossy = Path(path).suffix.lower() in LOSSY_SUFFIXES
                if problem := binary_problem(present, flat_values(mask), lossy):
                    raise MaskError(f'{path}: {problem}')
            mask = np.where(mask > THRESHOLD, np.uint8(255), np.uint8(0))
        present = present_values(mask)
        unknown = [value for value in present if value not in self.labels]
        if unknown:
            raise MaskError(
                f'{path}: values {unknown} are not in mask_values, which names '
                f'{sorted(self.labels)}.'
            )
        names = [self.lesion_classes[v] for v in present if v in self.lesion_classes]
        return map_values(mask, self.labels), tuple(dict.fromkeys(names))


def binary_problem(
    present: Sequence[int], flat: Sequence[int], lossy: bool
) -> str | None:
    """Why a mask cannot be a 0/255 mask, or None.

    Args:
        present: The values that occur in it.
        flat: The values of :func:`flat_values`.
        lossy: Whether it is a JPEG file, where values near 0 and 255 are compression
            artefacts.
    """
    advice = 'Give the site mask_values={value: class name} if the values are indices.'
    highest = max(present, default=0)
    lowest = JPEG_RIPPLE if lossy else 0
    if lowest < highest <= THRESHOLD:
        return f'highest value is {highest}, but a 0/255 mask is expected. {advice}'
    if lossy:
        ends = (0, 255)
        flat = [v for v in flat if v in ends or JPEG_RIPPLE < v < 255 - JPEG_RIPPLE]
    dark = [value for value in flat if value <= THRESHOLD]
    bright = [value for value in flat if value > THRESHOLD]
    if max(len(dark), len(bright)) > 1:
        return (
            f'areas with the values {list(flat)}, but a 0/255 mask is expected, with '
            f'other values at soft edges only. {advice}'
        )
    return None


def flat_values(mask: np.ndarray) -> list[int]:
    """The values that fill areas of a mask, and not only its edges.

    0 and 255 always count if they occur. Another value fills areas if most of its
    pixels lie in 2 x 2 squares of this value, which is not the case for lines along a
    soft edge. Masks of many values have no such values: they are grey levels, as in a
    blurred mask, and no classes.

    Args:
        mask: (H, W) uint8.
    """
    present = present_values(mask)
    ends = [value for value in present if value in (0, 255)]
    between = [value for value in present if value not in (0, 255)]
    if not between or len(between) > _MAX_LABELS:
        return ends
    square = mask[1:, 1:] == mask[:-1, :-1]
    square &= (mask[1:, 1:] == mask[:-1, 1:]) & (mask[1:, 1:] == mask[1:, :-1])
    in_square = np.zeros(mask.shape, bool)
    for rows in (slice(1, None), slice(None, -1)):
        for columns in (slice(1, None), slice(None, -1)):
            in_square[rows, columns] |= square
    flat = [v for v in between if in_square[mask == v].mean() >= _FLAT_SHARE]
    return sorted(ends + flat)


def present_values(mask: np.ndarray) -> list[int]:
    """The values that occur in a mask, sorted.

    Args:
        mask: Any shape, uint8.
    """
    return np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist()


def is_lesion(labels: np.ndarray) -> np.ndarray:
    """Which pixels are lesion, of any class.

    Args:
        labels: From :meth:`MaskFormat.decode`.
    """
    return (labels != 0) & (labels != IGNORED)


def map_values(mask: np.ndarray, labels: Mapping[int, int]) -> np.ndarray:
    """Replace every value by its label.

    Args:
        mask: Any shape, uint8.
        labels: Value -> label; other values become 0.

    Returns:
        uint8 of the same shape.
    """
    table = np.zeros(256, dtype=np.uint8)
    for value, label in labels.items():
        table[value] = label
    return table[mask]
