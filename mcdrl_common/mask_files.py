"""Reads mask files, as training does, and as ground truth of a single image."""

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
    """Ground truth of an image.

    Attributes:
        lesion: (H, W) bool.
        ignored: (H, W) bool, pixels that scores ignore.
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
            OpenCV, which training uses, does not know.
    """
    # Checked with Pillow, as OpenCV reads truncated files without an error.
    with opened(path, 'mask'):
        pass
    return decoded_mask(path)


def decoded_mask(path: Path) -> np.ndarray:
    """Like :func:`read_mask_pixels`, for a file that has already been checked."""
    mask = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if mask is None:
        detail = 'OpenCV, which training uses, cannot read this format'
        raise FileProblem('unreadable mask', detail)
    return mask


def read_truth_mask(path: str | Path, num_classes: int = 2) -> TruthMask:
    """Read a mask whose format no config describes.

    The format is that of its site's ``classes.json``, if a converter wrote one.
    Otherwise the mask is a label map if all its values are class numbers, or 255 for
    ignored pixels, and at least one is a lesion class. Else it is a 0/255 mask, with
    the same threshold as in training.

    Args:
        path: The file.
        num_classes: Number of the model's classes, the background included.

    Raises:
        MaskError: See :func:`read_mask_pixels` and :meth:`MaskFormat.decode`; or
            ``classes.json`` has another format than the converters write.
    """
    path = Path(path)
    try:
        pixels = read_mask_pixels(path)
    except FileProblem as problem:
        raise MaskError(f'{path}: {problem.detail}.') from None
    try:
        # For SITE/masks/NAME.png read SITE/classes.json.
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
