"""Reads DICOM objects as ordinary images; only this module needs pydicom."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mcdrl_common.findings import FileProblem
from mcdrl_common.image_files import check_pixel_count

from .dicom_display import GreyDisplay
from .image_pipeline import ImageError

if TYPE_CHECKING:
    import pydicom

_PREAMBLE_BYTES = 128
_MAGIC = b'DICM'
# Deflated images shrink to a half or a tenth; a far larger ratio means a zip bomb.
_MAX_RATIO = 20
_FREE_BYTES = 2**26
_BLOCK = 2**20
# An item of eight bytes becomes a pydicom object of more than a thousand. Files with
# thousands of frames have some ten items per frame.
_MAX_ITEMS = 200_000
_ITEM_TAGS = (b'\xfe\xff\x00\xe0', b'\xff\xfe\xe0\x00')
# Photometric interpretations that pydicom decodes to grey, indices or RGB.
_GREY = ('MONOCHROME1', 'MONOCHROME2')
_ANY_SYNTAX = (*_GREY, 'PALETTE COLOR', 'RGB', 'YBR_FULL', 'YBR_FULL_422')
_JPEG_2000_ALONE = ('YBR_ICT', 'YBR_RCT')
# A file without preamble begins with an element of group 2 or 8.
_FIRST_GROUPS = (b'\x02\x00', b'\x08\x00', b'\x00\x08')


def is_dicom(path: str | os.PathLike) -> bool:
    """Whether a file holds DICOM data, by its content, with or without preamble."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, 'rb') as file:
            start = file.read(_PREAMBLE_BYTES + len(_MAGIC))
    except OSError:
        return False
    if start.endswith(_MAGIC):
        return True
    return start[:2] in _FIRST_GROUPS and _has_a_class(path)


def _has_a_class(path: str | os.PathLike) -> bool:
    """Whether the file, read as DICOM, names the class of its object."""
    try:
        import pydicom
    except ImportError:
        return False
    try:
        _check_content(path)
        header = pydicom.dcmread(
            path, stop_before_pixels=True, force=True, specific_tags=['SOPClassUID']
        )
        return bool(header.get('SOPClassUID'))
    except Exception:
        # For other files pydicom may raise any exception.
        return False


def _check_content(path: str | os.PathLike) -> None:
    """Refuse a file that pydicom would expand to far more than its size.

    pydicom unpacks a deflated file at once, and creates an object for every item of a
    sequence, even if only other elements are read.

    Args:
        path: The file.

    Raises:
        ImageError: The file would expand to too much memory.
    """
    most = max(_FREE_BYTES, _MAX_RATIO * os.path.getsize(path))
    unpacked, items, end = 0, 0, b''
    for block in _blocks(path):
        unpacked += len(block)
        # Prepend the last bytes of the previous block, which are less than a whole tag.
        joined = end + block
        items += sum(map(joined.count, _ITEM_TAGS))
        end = joined[1 - len(_ITEM_TAGS[0]) :]
        if unpacked > most:
            raise ImageError(
                f'{path}: unpacks to more than {_MAX_RATIO} times its size, and was '
                'not read. Save it without deflation.'
            )
        if items > _MAX_ITEMS:
            raise ImageError(
                f'{path}: has more than {_MAX_ITEMS} sequence items, and was not read.'
            )


def _blocks(path: str | os.PathLike) -> Iterator[bytes]:
    """Content after the header of a file, inflated if it is deflated."""
    from pydicom.filereader import _read_file_meta_info, read_preamble
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    with open(path, 'rb') as file:
        read_preamble(file, force=True)
        meta = _read_file_meta_info(file)
        if meta.get('TransferSyntaxUID') != DeflatedExplicitVRLittleEndian:
            while block := file.read(_BLOCK):
                yield block
            return
        inflate, packed = zlib.decompressobj(-zlib.MAX_WBITS), b''
        while not inflate.eof and (packed := packed or file.read(_BLOCK)):
            yield inflate.decompress(packed, _BLOCK)
            packed = inflate.unconsumed_tail


def count_frames(path: str | os.PathLike) -> int:
    """Number of images in a DICOM file.

    Args:
        path: The file.

    Raises:
        ImageError: See :func:`read_dicom`, or the number of images is invalid.
    """
    header = _read(path, stop_before_pixels=True)
    try:
        return int(header.get('NumberOfFrames') or 1)
    except (TypeError, ValueError) as error:
        raise ImageError(
            f'{path}: NumberOfFrames is not an integer ({error}). Correct the header.'
        ) from None


def read_dicom(path: str | os.PathLike) -> Iterator[np.ndarray]:
    """Read the images of a DICOM file.

    Colours are returned unchanged, grey values as
    :class:`~mcdrl_mmseg.apis.dicom_display.GreyDisplay` shows them.

    Args:
        path: The file.

    Yields:
        (H, W, 3) uint8, blue first, one for each frame.

    Raises:
        ImageError: pydicom is missing, or the file is damaged, has no image, has a
            compression without an installed decoder, has more frames than it states, or
            has values of an unknown meaning.
    """
    data = _read(path)
    if 'PixelData' not in data:
        modality = data.get('Modality', 'unknown')
        raise ImageError(
            f'{path}: a DICOM file without an image (modality {modality}).'
        )
    from pydicom.pixels import iter_pixels

    try:
        check_pixel_count(int(data.Columns), int(data.Rows))
    except FileProblem as problem:
        raise ImageError(f'{path}: {problem.detail}.') from None
    except (AttributeError, TypeError) as error:
        raise ImageError(
            f'{path}: the image has no valid Rows and Columns: {error}.'
        ) from None
    try:
        _check_frame_count(path, data)
        _check_meaning(path, data)
        grey = GreyDisplay(data)
        for index, frame in enumerate(iter_pixels(data)):
            if data.PhotometricInterpretation == 'PALETTE COLOR' or frame.ndim == 3:
                yield _colour(frame, data)
            else:
                yield np.repeat(grey.show(frame, index)[..., None], 3, axis=2)
    except ImageError:
        raise
    except Exception as error:
        # Decoders raise all kinds of exceptions, from RuntimeError to struct.error.
        raise ImageError(
            f'{path}: its image could not be decoded: {str(error).strip()}'
        ) from error


def _check_frame_count(path: str | os.PathLike, data: pydicom.Dataset) -> None:
    """Refuse pixel data beyond the stated number of frames."""
    from pydicom.encaps import generate_frames
    from pydicom.pixels.utils import get_expected_length

    stated = int(data.get('NumberOfFrames') or 1)
    if data.file_meta.TransferSyntaxUID.is_encapsulated:
        offsets = None
        if 'ExtendedOffsetTable' in data:
            offsets = (data.ExtendedOffsetTable, data.ExtendedOffsetTableLengths)
        frames = generate_frames(
            data.PixelData, number_of_frames=stated, extended_offsets=offsets
        )
        held, expected, unit = sum(1 for _ in frames), stated, 'frames'
    else:
        held, expected = len(data.PixelData), get_expected_length(data)
        expected += expected % 2  # an odd length has a byte of padding
        unit = 'bytes'
    if held > expected:
        raise ImageError(
            f'{path}: the pixel data has {held} {unit}; expected {expected} from '
            f'NumberOfFrames ({stated}), Rows and Columns. Correct the header.'
        )


def _check_meaning(path: str | os.PathLike, data: pydicom.Dataset) -> None:
    """Refuse stored values that pydicom does not convert to grey or colours."""
    meaning = str(data.PhotometricInterpretation)
    packed = data.file_meta.TransferSyntaxUID.is_encapsulated
    if meaning not in (*_ANY_SYNTAX, *(_JPEG_2000_ALONE if packed else ())):
        raise ImageError(
            f'{path}: PhotometricInterpretation {meaning!r} is not supported; expected '
            f'one of {", ".join(_ANY_SYNTAX)}. Convert the file, or correct the header.'
        )
    stored, high = int(data.BitsStored), int(data.get('HighBit', data.BitsStored - 1))
    if not packed and high != stored - 1:
        raise ImageError(
            f'{path}: HighBit is {high} with BitsStored {stored}: the values are not '
            f'in the lowest {stored} bits, as in files of some old devices. Convert '
            'the file, or correct the header.'
        )


def _colour(frame: np.ndarray, data: pydicom.Dataset) -> np.ndarray:
    """(H, W) indices or (H, W, 3) red first to (H, W, 3) uint8, blue first."""
    bits = int(data.BitsStored)
    if data.PhotometricInterpretation == 'PALETTE COLOR':
        from pydicom.pixels import apply_color_lut

        frame = apply_color_lut(frame, data)[..., :3]
        every_index = np.arange(2**bits, dtype=np.uint16)
        # A palette of 16-bit entries may only use 8 bits.
        bits = 8 if apply_color_lut(every_index, data).max() < 2**8 else 16
    if bits < 8:
        frame = np.rint(frame * (255 / (2**bits - 1)))
    shifted = (frame >> (bits - 8) if bits > 8 else frame).astype(np.uint8)
    return np.ascontiguousarray(shifted[..., ::-1])


def _read(path: str | os.PathLike, **options: Any) -> pydicom.Dataset:
    try:
        import pydicom
    except ImportError:
        raise ImageError(
            f"{path}: DICOM needs pydicom: pip install 'mcdrl-mmseg[dicom]'."
        ) from None
    try:
        _check_content(path)
        data = pydicom.dcmread(path, force=is_dicom(path), **options)
    except OSError as error:
        raise ImageError(f'{path}: {error.strerror or error}.') from None
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f'{path}: not a DICOM file, or damaged: {error}') from None
    if 'TransferSyntaxUID' not in data.file_meta:
        # Without a header the syntax follows from the encoding that was read.
        implicit, little = data.original_encoding
        data.file_meta.TransferSyntaxUID = (
            pydicom.uid.ImplicitVRLittleEndian
            if implicit
            else pydicom.uid.ExplicitVRLittleEndian
            if little
            else pydicom.uid.ExplicitVRBigEndian
        )
    return data
