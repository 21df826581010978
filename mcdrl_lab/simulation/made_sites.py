"""Common parts of sites whose images are made from those of other sites."""

from __future__ import annotations

import zlib
from pathlib import Path

import cv2
import numpy as np

from mcdrl_common.classes_file import write_classes
from mcdrl_common.findings import FileProblem
from mcdrl_common.image_files import opened
from mcdrl_common.mask_format import IGNORED, is_lesion
from mcdrl_common.verification.entry import Entry
from mcdrl_lab.errors import ConversionError
from mcdrl_lab.pictures import jpeg

_ANY_LESION = 'lesion'
_JPEG_QUALITY = 95


def generator_of(entry: Entry, seed: int) -> np.random.Generator:
    """Random numbers that only depend on a seed and an image's site and name.

    Raises:
        ConversionError: The seed is negative, which NumPy refuses.
    """
    if seed < 0:
        raise ConversionError(f'--seed {seed}: expected 0 or more.')
    name = f'{entry.site}/{entry.image.stem}'
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def read_pixels(path: Path) -> np.ndarray:
    """Read an image.

    Args:
        path: The file.

    Returns:
        (H, W, 3) uint8, red first.

    Raises:
        ConversionError: It cannot be read.
    """
    try:
        with opened(path, 'image') as image:
            return np.asarray(image.convert('RGB'))
    except FileProblem as problem:
        raise ConversionError(f'{path}: {problem}') from None


class MadeSite:
    """A new site: its folders, images and masks, with ignored pixels preserved.

    Masks have a single value for lesions of all classes: 255, or 1 if the original
    site's masks may have ignored pixels, which then are 255.

    Args:
        folder: Folder of the new site; made here.
        entry: Any image of the original site.
    """

    def __init__(self, folder: Path, entry: Entry) -> None:
        self.folder = folder
        for part in ('images', 'masks'):
            (folder / part).mkdir(parents=True)
        self._may_ignore = IGNORED in entry.mask_format.labels.values()
        if self._may_ignore:
            lesions = set(entry.mask_format.lesion_classes.values())
            name = lesions.pop() if len(lesions) == 1 else _ANY_LESION
            write_classes(folder, {0: 'background', 1: name, IGNORED: 'ignore'})

    def write(self, name: str, image: np.ndarray, labels: np.ndarray) -> None:
        """Write an image with its mask.

        Args:
            name: Name of both files, without suffix.
            image: (H, W, 3) uint8, red first.
            labels: (H, W) uint8, as read from the original site's mask.
        """
        code = cv2.imencode('.png', self._mask(labels))[1]
        (self.folder / 'masks' / f'{name}.png').write_bytes(code.tobytes())
        content = jpeg(image, _JPEG_QUALITY)
        (self.folder / 'images' / f'{name}.jpg').write_bytes(content)

    def _mask(self, labels: np.ndarray) -> np.ndarray:
        lesion = is_lesion(labels).astype(np.uint8)
        if not self._may_ignore:
            return lesion * 255
        return np.where(labels == IGNORED, np.uint8(IGNORED), lesion)
