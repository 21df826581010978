"""Images of a data set: whether they can be used, and written without loss."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mcdrl_common.findings import FileProblem
from mcdrl_common.image_files import EXIF_ORIENTATION, bits_per_channel, opened

# Formats that every reader of the training pipeline knows are copied as they are.
_COPIED = {'JPEG': '.jpg', 'MPO': '.jpg', 'PNG': '.png'}
_REWRITTEN = ('TIFF', 'BMP')
_LOSSLESS_MODES = ('1', 'L', 'P', 'RGB', 'RGBA')


@dataclass(frozen=True)
class ReadImage:
    """An image that can be used.

    Args:
        path: The file.
        suffix: Ending of the converted file, with the dot.
        copied: Whether to copy the file; otherwise its pixels are rewritten as PNG.
        size: (height, width).
        pixels: The image as RGB.
    """

    path: Path
    suffix: str
    copied: bool
    size: tuple[int, int]
    pixels: Image.Image

    def write(self, target: Path) -> None:
        """Write the image.

        Args:
            target: The file, with the ending ``suffix``.
        """
        if self.copied:
            shutil.copyfile(self.path, target)
            return
        with opened(self.path, 'image') as image:
            image.save(target, format='PNG')


def read_image(path: Path) -> ReadImage:
    """Read an image and decide how to write it.

    Args:
        path: The file.

    Raises:
        FileProblem: Unreadable, of a format or depth that 8-bit PNG cannot hold, or
            rotated by an EXIF orientation, which not every reader applies.
    """
    with opened(path, 'image') as image:
        copied = image.format in _COPIED
        if not copied and image.format not in _REWRITTEN:
            detail = f'format {image.format}; expected JPEG, PNG, TIFF or BMP'
            raise FileProblem('unsupported image', detail)
        if not copied and image.mode not in _LOSSLESS_MODES:
            detail = f'{image.mode} pixels do not fit an 8-bit PNG without loss'
            raise FileProblem('unsupported image', detail)
        bits = bits_per_channel(path, image)
        if bits > 8:
            detail = f'{bits} bits per channel; expected 8, which training reads'
            raise FileProblem('unsupported image', detail)
        turned = image.getexif().get(EXIF_ORIENTATION, 1)
        if copied and turned != 1:
            detail = f'EXIF orientation {turned}; save it upright, and its mask too'
            raise FileProblem('rotated image', detail)
        return ReadImage(
            path,
            _COPIED.get(image.format or '', '.png'),
            copied,
            (image.height, image.width),
            image.convert('RGB'),
        )
