"""Reads image files completely, and refuses files that readers could misread."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from .findings import FileProblem

# Formats that are read. Some other decoders of Pillow start programs, as EPS does. MPO
# counts as JPEG.
_READ = (
    'PNG', 'JPEG', 'TIFF', 'BMP', 'DIB', 'WEBP', 'GIF', 'JPEG2000', 'PPM',
)  # fmt: skip
EXIF_ORIENTATION = 0x0112
_PNG_DEPTH_AT = 24
_TIFF_STARTS = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS_PER_SAMPLE = 256, 257, 258
_TIFF_PHOTOMETRIC, _TIFF_SAMPLES, _TIFF_PLANAR = 262, 277, 284
_TIFF_EXTRA_SAMPLES, _ALPHA_KINDS = 338, {1, 2}
_OPAQUE = 255
_WHITE_IS_ZERO, _SEPARATE_PLANES = 0, 2
# Header of a PNM file: kind, width, height and highest value, with comments between.
_PNM_HEADER = re.compile(rb'P[2356](?:(?:\s|#[^\r\n]*[\r\n])+(\d+)){3}\s')
_WIDE_MODES = {'I': 32, 'F': 32, 'I;16': 16, 'I;16B': 16, 'I;16L': 16}
# Four channels of 16 bits, twice; and space for thumbnails, profiles and metadata.
_MAX_BYTES_A_PIXEL = 16
_FREE_BYTES = 2**26
# Pillow warns about large images, which are refused here.
warnings.filterwarnings('ignore', category=Image.DecompressionBombWarning)


class NotAnImage(FileProblem):
    """A file in none of the formats that are read here."""


def set_pixel_limit(count: int) -> None:
    """Set the largest number of pixels of an image in this process (Pillow's limit).

    Args:
        count: Number of pixels; the default is 89 million.
    """
    Image.MAX_IMAGE_PIXELS = count


def check_pixel_count(width: int, height: int, kind: str = 'image') -> None:
    """Refuse an image that would fill the memory, before it is decoded.

    Args:
        width: Width in the image's header.
        height: Likewise.
        kind: ``'image'``, ``'mask'``, ..., for messages.

    Raises:
        FileProblem: More pixels than the limit.
    """
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        detail = (
            f'too many pixels: {width} x {height}; the limit is {limit} (predict, '
            'explain and export can raise it with --max-pixels)'
        )
        raise FileProblem(f'unreadable {kind}', detail)


def check_file_size(path: Path, width: int, height: int, kind: str = 'image') -> None:
    """Refuse a file that is far larger than its image: decoders load it completely.

    Args:
        path: The file.
        width: Width in the image's header.
        height: Likewise.
        kind: ``'image'``, ``'mask'``, ..., for messages.

    Raises:
        FileProblem: More bytes than an image of this size can need.
    """
    what = f'an image of {width} x {height} pixels'
    _check_bytes(path, width * height, what, kind)


def _check_bytes(path: Path, pixels: int, what: str, kind: str) -> None:
    held = path.stat().st_size
    if held > _MAX_BYTES_A_PIXEL * pixels + _FREE_BYTES:
        detail = f'{held} bytes, more than {what} can need; the file was not read'
        raise FileProblem(f'unreadable {kind}', detail)


def tiff_size(path: Path) -> tuple[int, int] | None:
    """Width and height by the header of a TIFF file; None for another file.

    Args:
        path: The file; it may be a TIFF that Pillow cannot decode.
    """
    try:
        entries = _tiff_entries(path)
        return int(entries[_TIFF_WIDTH]), int(entries[_TIFF_HEIGHT])
    except Exception:
        # A damaged header may raise any exception.
        return None


def check_read_as_meant(path: Path, kind: str = 'image') -> None:
    """Refuse files that OpenCV, which training and inference use, misreads.

    OpenCV reads 16-bit grey TIFF files in which 0 is white as if 0 were black, mixes up
    separate planes of 16 bits, and does not scale PNM files whose highest value is
    neither 255 nor 65535. In masks of such PNM files, class numbers would depend on the
    reader.

    Args:
        path: A file that exists.
        kind: ``'image'``, ``'mask'``, ..., for messages.

    Raises:
        FileProblem: It is one of these.
    """
    with open(path, 'rb') as file:
        start = file.read(2**12)
    if header := _PNM_HEADER.match(start):
        if (top := int(header[1])) not in (255, 2**16 - 1):
            detail = (
                f'PNM with maximum value {top}, which readers scale differently; '
                'expected 255 or 65535. Save it as PNG'
            )
            raise FileProblem(f'unreadable {kind}', detail)
    elif start[:4] in _TIFF_STARTS:
        try:
            wrong = _misread_tiff(_tiff_entries(path))
        except Exception:
            # A damaged header is no problem if the image can be decoded.
            wrong = None
        if wrong:
            raise FileProblem(
                f'unreadable {kind}', f'16-bit TIFF {wrong}. Save it as PNG'
            )


def _tiff_entries(path: Path) -> ImageFileDirectory_v2:
    with open(path, 'rb') as file:
        header = file.read(8)
        if header[2:4] in (b'\x2b\x00', b'\x00\x2b'):
            header += file.read(8)  # BigTIFF
        entries = ImageFileDirectory_v2(header)
        file.seek(entries.next)
        entries.load(file)
    return entries


def _misread_tiff(entries: Mapping[int, Any]) -> str | None:
    """Description of what OpenCV would misread in a TIFF file, or None."""
    if max(entries.get(_TIFF_BITS_PER_SAMPLE, (1,))) <= 8:
        return None
    if entries.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
        return 'in which 0 is white; some readers show it inverted'
    several = entries.get(_TIFF_SAMPLES, 1) > 1
    if several and entries.get(_TIFF_PLANAR) == _SEPARATE_PLANES:
        return 'with separate colour planes, which some readers mix up'
    return None


def check_opaque(image: Image.Image, kind: str = 'image') -> None:
    """Refuse an 8-bit colour TIFF with transparent pixels: readers disagree.

    OpenCV, which training and inference use, returns colours multiplied by alpha;
    Pillow does not. In other formats, and in grey TIFF files, both ignore alpha.

    Args:
        image: Pillow's image with its pixels loaded.
        kind: ``'image'``, ``'mask'``, ..., for messages.

    Raises:
        FileProblem: The image is such a file.
    """
    if not isinstance(image, TiffImageFile) or image.mode != 'RGBA':
        return
    if not _ALPHA_KINDS.intersection(image.tag_v2.get(_TIFF_EXTRA_SAMPLES, ())):
        return
    eight_bits = max(image.tag_v2.get(_TIFF_BITS_PER_SAMPLE, (1,))) <= 8
    if eight_bits and any(image.getchannel('A').histogram()[:_OPAQUE]):
        detail = (
            'TIFF with transparent pixels, whose colours readers treat differently. '
            'Save it as PNG, or without transparency'
        )
        raise FileProblem(f'unreadable {kind}', detail)


def bits_per_channel(path: Path, image: Image.Image) -> int:
    """Bits per channel in the file; Pillow only reports 16 bits for grey images.

    Args:
        path: The file.
        image: Pillow's image of it.
    """
    with open(path, 'rb') as file:
        return depth_of(file.read(_PNG_DEPTH_AT + 1), image)


def depth_of(content: bytes, image: Image.Image) -> int:
    """Like :func:`bits_per_channel`, for a file in memory.

    Args:
        content: The file's bytes, or its first bytes.
        image: Pillow's image of it.
    """
    if image.format == 'PNG':
        return max(8, content[_PNG_DEPTH_AT])
    if isinstance(image, TiffImageFile):
        return max(8, *image.tag_v2.get(_TIFF_BITS_PER_SAMPLE, (8,)))
    return _WIDE_MODES.get(image.mode, 8)


@contextmanager
def opened(path: Path, kind: str) -> Iterator[Image.Image]:
    """Open an image and read it completely, so that a truncated file is noticed.

    Args:
        path: The file.
        kind: ``'image'`` or ``'mask'``, for messages.

    Yields:
        The image with its pixels loaded.

    Raises:
        FileProblem: The file does not exist, is no image, is damaged or too large, has
            several pages, or has a colour space that other readers take for RGB. See
            also :func:`check_read_as_meant` and :func:`check_opaque`.
    """
    if not path.is_file():
        raise FileProblem(f'unreadable {kind}', 'not a regular file')
    try:
        # For some formats Pillow reads the whole file before it knows the image size.
        if Image.MAX_IMAGE_PIXELS is not None:
            _check_bytes(path, Image.MAX_IMAGE_PIXELS, 'any image that is read', kind)
        image = Image.open(path, formats=_READ)
        check_pixel_count(*image.size, kind)
        pages = getattr(image, 'n_frames', 1)
        # An MPO is a JPEG photograph with a smaller copy of itself.
        if pages > 1 and image.format != 'MPO':
            detail = f'{pages} pages in one file; expected one'
            raise FileProblem(f'unreadable {kind}', detail)
        if image.mode == 'LAB':
            detail = 'LAB colours; expected red, green and blue'
            raise FileProblem(f'unreadable {kind}', detail)
        check_file_size(path, *image.size, kind)
        check_read_as_meant(path, kind)
        image.load()
        check_opaque(image, kind)
    except UnidentifiedImageError:
        raise NotAnImage(f'unreadable {kind}', 'not an image') from None
    except Image.DecompressionBombError as error:
        detail = f'too many pixels: {error} (see --max-pixels)'
        raise FileProblem(f'unreadable {kind}', detail) from None
    except FileProblem:
        raise
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise FileProblem(f'unreadable {kind}', str(error)) from None
    with image:
        yield image
