"""DICOM objects as ordinary images; pydicom is needed only here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .image_pipeline import ImageError

if TYPE_CHECKING:
    import pydicom

_PREAMBLE_BYTES = 128
_MAGIC = b'DICM'


def is_dicom(path: str | os.PathLike) -> bool:
    """Whether a file begins as DICOM files do, whatever its name."""
    try:
        with open(path, 'rb') as file:
            return file.read(_PREAMBLE_BYTES + len(_MAGIC)).endswith(_MAGIC)
    except OSError:
        return False


def count_frames(path: str | os.PathLike) -> int:
    """Number of images in a DICOM file.

    Args:
        path: The file.

    Raises:
        ImageError: See :func:`read_dicom`.
    """
    header = _read(path, stop_before_pixels=True)
    return int(header.get('NumberOfFrames') or 1)


def read_dicom(path: str | os.PathLike) -> Iterator[np.ndarray]:
    """Read the images of a DICOM file.

    Colour comes as it is. Grey values go through the file's own modality and
    value-of-interest transformations (window, or lookup table), or are stretched to
    their range where it has none, and are inverted for MONOCHROME1.

    Args:
        path: The file.

    Yields:
        (H, W, 3) uint8, blue first, one for each frame.

    Raises:
        ImageError: pydicom is missing, the file is damaged, it holds no image, or it
            is compressed in a way that nothing installed can undo.
    """
    data = _read(path)
    if 'PixelData' not in data:
        modality = data.get('Modality', 'unknown')
        raise ImageError(
            f'{path}: a DICOM file without an image (modality {modality}).'
        )
    from pydicom.pixels import iter_pixels

    try:
        for frame in iter_pixels(data):
            yield _to_image(frame, data)
    except Exception as error:
        # Decoders raise what they like, from RuntimeError to struct.error.
        raise ImageError(
            f'{path}: its image could not be decoded: {str(error).strip()}'
        ) from error


def _to_image(frame: np.ndarray, data: pydicom.Dataset) -> np.ndarray:
    """(H, W) or (H, W, 3) values to (H, W, 3) uint8, blue first."""
    from pydicom.pixels import apply_color_lut

    kind = data.PhotometricInterpretation
    if kind == 'PALETTE COLOR':
        frame = apply_color_lut(frame, data)[..., :3]
        bits = 8 * frame.itemsize
    else:
        bits = int(data.BitsStored)
    if frame.ndim == 3:
        return np.ascontiguousarray(_shifted(frame, bits)[..., ::-1])
    grey = _grey(frame, data, bits)
    if kind == 'MONOCHROME1':
        grey = 255 - grey
    return np.repeat(grey[..., None], 3, axis=2)


def _shifted(values: np.ndarray, bits: int) -> np.ndarray:
    return (values >> max(bits - 8, 0)).astype(np.uint8)


def _grey(frame: np.ndarray, data: pydicom.Dataset, bits: int) -> np.ndarray:
    """Grey values as the file says they are to be shown."""
    from pydicom.pixels import apply_modality_lut, apply_voi_lut, apply_windowing

    values = apply_modality_lut(frame, data)
    if 'VOILUTSequence' in data:
        low, high = 0, 2 ** int(data.VOILUTSequence[0].LUTDescriptor[2]) - 1
    elif 'WindowWidth' in data:
        # A window ends in two constants; they are what the extremes give.
        low, high = apply_windowing(np.array([-1e9, 1e9]), data)
    elif bits == 8 and values.dtype == np.uint8:
        return values
    else:
        low, high = values.min(), values.max()
    shown = apply_voi_lut(values, data).astype(np.float64)
    scaled = (shown - low) / max(float(high) - float(low), 1e-12)
    return np.rint(255 * scaled.clip(0, 1)).astype(np.uint8)


def _read(path: str | os.PathLike, **options: Any) -> pydicom.Dataset:
    try:
        import pydicom
    except ImportError:
        raise ImageError(
            f"{path}: DICOM needs pydicom: pip install 'mcdrl-mmseg[dicom]'."
        ) from None
    try:
        return pydicom.dcmread(path, **options)
    except OSError as error:
        raise ImageError(f'{path}: {error.strerror or error}.') from None
    except Exception as error:
        raise ImageError(f'{path}: not a DICOM file, or damaged: {error}') from None
