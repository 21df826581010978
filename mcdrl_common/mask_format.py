"""Values of lesion masks: 0/255 or indices, to segmentation labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

THRESHOLD = 127
"""Above it a 0/255 mask is lesion: half of the range decides where an edge is soft."""


class MaskError(ValueError):
    """A mask that cannot be read as labels; the message names the file."""


@dataclass(frozen=True)
class MaskFormat:
    """How the mask files of a site are read.

    Args:
        lesion_classes: Value in the file -> lesion class. A 0/255 mask has the one
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
            (H, W) uint8 labels, of which 255 is ignored in training and evaluation,
            and the names of the lesion classes present.

        Raises:
            MaskError: Not 8 bits, channels that differ, a value without label, or a
                mask of small indices where 0/255 is expected.
        """
        if mask.dtype != np.uint8:
            raise MaskError(f'{path}: {mask.dtype} values; expected 8-bit ones.')
        if mask.ndim == 3:
            if (mask != mask[..., :1]).any():
                raise MaskError(f'{path}: a colour mask; expected one channel.')
            mask = mask[..., 0]
        if self.binary:
            if 0 < mask.max() <= THRESHOLD:
                raise MaskError(
                    f'{path}: highest value is {mask.max()}, but a 0/255 mask is '
                    'expected. Give the site mask_values={value: class name} if the '
                    'values are indices.'
                )
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


def present_values(mask: np.ndarray) -> list[int]:
    """The values that occur in a mask, sorted.

    Args:
        mask: Any shape, uint8.
    """
    return np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist()


def map_values(mask: np.ndarray, labels: Mapping[int, int]) -> np.ndarray:
    """Put a label in the place of every value.

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
