"""Mask files: read as training reads them, and as the truth of a single image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .classes_file import read_classes
from .findings import FileProblem
from .image_files import opened
from .mask_format import IGNORED, MaskError, MaskFormat, is_lesion, present_values
from .sites import SiteDataError


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
    return decoded_mask(path)


def decoded_mask(path: Path) -> np.ndarray:
    """As :func:`read_mask_pixels`, of a file that is found whole already."""
    mask = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if mask is None:
        detail = 'a format that OpenCV, which training reads with, does not know'
        raise FileProblem('unreadable mask', detail)
    return mask


def read_truth_mask(path: str | Path, num_classes: int = 2) -> TruthMask:
    """Read a mask of which no config says how it is to be read.

    The ``classes.json`` of its site says it, where a converter wrote one. Else it is a
    label map if all its values are class numbers, or 255 for what is left out,
    and one of them is a lesion class. Otherwise it is a 0/255 mask, cut where training
    cuts it.

    Args:
        path: The file.
        num_classes: Of the model, the background among them.

    Raises:
        MaskError: See :func:`read_mask_pixels` and :meth:`MaskFormat.decode`; or
            ``classes.json`` is not as the converters write it.
    """
    path = Path(path)
    try:
        pixels = read_mask_pixels(path)
    except FileProblem as problem:
        raise MaskError(f'{path}: {problem.detail}.') from None
    try:
        # SITE/classes.json of SITE/masks/NAME.png.
        classes = read_classes(path.resolve().parent.parent)
    except SiteDataError as error:
        raise MaskError(f'{path}: {error}') from None
    mask_format = _noted_format(classes) or _format_of(pixels, num_classes)
    labels = mask_format.decode(pixels, path)[0]
    return TruthMask(is_lesion(labels), labels == IGNORED)


def _noted_format(classes: Mapping[int, str]) -> MaskFormat | None:
    if not classes:
        return None
    meanings = {'background': 0, 'ignore': IGNORED}
    labels = {value: meanings.get(name, 1) for value, name in classes.items()}
    lesions = {v: name for v, name in classes.items() if name not in meanings}
    return MaskFormat(lesions, labels, binary=False)


def _format_of(pixels: np.ndarray, num_classes: int) -> MaskFormat:
    lesions = range(1, num_classes)
    if pixels.dtype == np.uint8:
        present = set(present_values(pixels))
        if present & set(lesions) and present <= {0, *lesions, IGNORED}:
            labels = {value: value for value in (0, *lesions, IGNORED)}
            return MaskFormat({n: str(n) for n in lesions}, labels, binary=False)
    return MaskFormat({255: 'lesion'}, {0: 0, 255: 1}, binary=True)
