"""Decodes untrusted images in memory, within limits, or refuses them with a reason."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

from mcdrl_common.findings import FileProblem
from mcdrl_common.image_files import check_opaque, depth_of

# Pillow's names; no other decoder is tried on an upload.
FORMATS = ('PNG', 'JPEG', 'BMP', 'TIFF')
SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff')
# Somewhat more than 3840 x 2160, the largest that endoscopes record.
MAX_PIXELS = 10_000_000
MIN_SIDE, MAX_SIDE = 16, 8192
_DEEP_MODES = ('I', 'F')


class UploadError(ValueError):
    """A file that cannot be used; the message says why and what to do."""


def read_upload(content: bytes) -> np.ndarray:
    """Decode an image file by its content; its name does not matter.

    Size and type are checked in the header, before any pixel is decoded: a small file
    can hold billions of pixels.

    Args:
        content: The whole file.

    Returns:
        (H, W, 3) uint8, red first, rotated upright by the EXIF orientation.

    Raises:
        UploadError: The file is not a PNG, JPEG, BMP or TIFF image; the image is
            damaged, too large or too small; it has several pages, LAB colours or more
            than 8 bits per channel; or it is a TIFF with transparent pixels.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_header(image, content)
            image.load()
            check_opaque(image)
            upright = ImageOps.exif_transpose(image)
            return np.asarray(upright.convert('RGB'))
    except UploadError:
        raise
    except FileProblem as problem:
        raise UploadError(f'The image is a {problem.detail}.') from None
    except Image.UnidentifiedImageError:
        raise UploadError(
            'This is not a PNG, JPEG, BMP or TIFF image, whatever its name says. '
            'Save it as one of these.'
        ) from None
    except Image.DecompressionBombError:
        raise UploadError(_too_many_pixels()) from None
    # On damaged files decoders raise many types of errors, even struct's and zlib's.
    except Exception as error:
        raise UploadError(
            f'The image is damaged and cannot be read: {error}. Save it again.'
        ) from error


def _check_header(image: Image.Image, content: bytes) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise UploadError(_too_many_pixels(f'{width} x {height} pixels; '))
    if not MIN_SIDE <= min(image.size) <= max(image.size) <= MAX_SIDE:
        raise UploadError(
            f'The image has {width} x {height} pixels; each side must have '
            f'{MIN_SIDE} to {MAX_SIDE}.'
        )
    # Pillow silently keeps only the upper 8 bits of colour images.
    if image.mode.startswith(_DEEP_MODES) or depth_of(content, image) > 8:
        raise UploadError(
            'The image has more than 8 bits per channel. Save it with 8, at the '
            'brightness that you want to see.'
        )
    if image.mode == 'LAB':
        raise UploadError(
            'The image has LAB colours, which prediction does not accept. Save it '
            'with red, green and blue.'
        )
    if image.format in ('TIFF', 'PNG') and _has_second_page(image):
        raise UploadError(
            'The file has several pages. Save one page as a file of its own.'
        )


def _has_second_page(image: Image.Image) -> bool:
    """Whether there is a second page. Counting all could follow an endless chain."""
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def _too_many_pixels(found: str = '') -> str:
    limit = MAX_PIXELS // 1_000_000
    return f'The image is too large: {found}the limit is {limit} megapixels. Shrink it.'
