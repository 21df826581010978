"""Mask files: read as training reads them, and as the truth of a single image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .findings import FileProblem
from .image_files import opened
from .mask_format import MaskError, MaskFormat, present_values

IGNORED = 255


@dataclass(frozen=True)
class TruthMask:
    """Where the lesion of an image is.

    Attributes:
        lesion: (H, W) bool.
        ignored: (H, W) bool, left out of scores.
    """

    lesion: np.ndarray
    ignored: np.ndarray


def read_mask_pixels(path: Path) -> np.ndarray:
    """The values of a mask, as training reads them.

    Args:
        path: The file.

    Returns:
        (H, W) or (H, W, C), of the depth of the file.

    Raises:
        FileProblem: Not an image, damaged, of several pages, or of a format that
            OpenCV, which training reads with, does not know.
    """
    # OpenCV reads truncated files without complaint, and Pillow others' pixels.
    with opened(path, 'mask'):
        pass
    mask = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if mask is None:
        detail = 'a format that OpenCV, which training reads with, does not know'
        raise FileProblem('unreadable mask', detail)
    return mask


def read_truth_mask(path: str | Path, num_classes: int = 2) -> TruthMask:
    """Read a mask of which no site says how it is to be read.

    It is a label map if all its values are class numbers, or 255 for what is left out,
    and one of them is a lesion class. Otherwise it is a 0/255 mask, cut where training
    cuts it.

    Args:
        path: The file.
        num_classes: Of the model, the background among them.

    Raises:
        MaskError: See :func:`read_mask_pixels` and :meth:`MaskFormat.decode`.
    """
    path = Path(path)
    try:
        pixels = read_mask_pixels(path)
    except FileProblem as problem:
        raise MaskError(f'{path}: {problem.detail}.') from None
    labels = _format_of(pixels, num_classes).decode(pixels, path)[0]
    return TruthMask((labels > 0) & (labels != IGNORED), labels == IGNORED)


def _format_of(pixels: np.ndarray, num_classes: int) -> MaskFormat:
    lesions = range(1, num_classes)
    if pixels.dtype == np.uint8:
        present = set(present_values(pixels))
        if present & set(lesions) and present <= {0, *lesions, IGNORED}:
            labels = {value: value for value in (0, *lesions, IGNORED)}
            return MaskFormat({n: str(n) for n in lesions}, labels, binary=False)
    return MaskFormat({255: 'lesion'}, {0: 0, 255: 1}, binary=True)
