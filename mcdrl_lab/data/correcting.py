"""Lossless corrections of single files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from mcdrl_common.findings import FileProblem
from mcdrl_common.image_files import EXIF_ORIENTATION, opened
from mcdrl_common.mask_format import MaskError
from mcdrl_common.verification.entry import Entry
from mcdrl_common.verification.rules import QUARTER_TURNS

_MASK_KINDS = {'mask bit depth', 'mask channels', 'mask values'}
_OPAQUE = 255

# EXIF orientation -> how to bring pixels upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def correct_image(
    entry: Entry, kinds: Sequence[str]
) -> tuple[Image.Image, Image.Transpose | None]:
    """Rotate an image upright, if nothing else is wrong with it.

    The mask may have been drawn before or after the rotation. For a quarter turn of an
    image that is not square, the mask's size tells which; otherwise nothing does.

    Args:
        entry: The image and its mask.
        kinds: What is wrong with the image.

    Returns:
        The upright image, and how to transpose the mask, or None.

    Raises:
        FileProblem: Something else is wrong, or it is unclear how the mask was drawn.
    """
    others = [kind for kind in kinds if kind != 'rotated image']
    if others:
        raise FileProblem(others[0], 'cannot be corrected without loss')
    with opened(entry.image, 'image') as image, opened(entry.mask, 'mask') as mask:
        orientation = image.getexif().get(EXIF_ORIENTATION, 1)
        stored, turned = image.size, image.size[::-1]
        tells = orientation in QUARTER_TURNS and stored != turned
        if not tells or mask.size not in (stored, turned):
            raise FileProblem(
                'rotated image',
                f'EXIF orientation {orientation}, and the mask does not show whether '
                'it was drawn on the rotated image',
            )
        turn = _TURNS[orientation] if mask.size == stored else None
        return ImageOps.exif_transpose(image), turn


def correct_mask(
    entry: Entry, kinds: Sequence[str], turn: Image.Transpose | None
) -> Image.Image:
    """Make a mask one 8-bit channel of allowed values.

    Args:
        entry: The image and its mask.
        kinds: What is wrong with the mask.
        turn: How to transpose it, or None.

    Raises:
        FileProblem: It is not clear what its values mean, or something else is wrong.
    """
    others = [kind for kind in kinds if kind not in _MASK_KINDS]
    if others:
        raise FileProblem(others[0], 'cannot be corrected')
    with opened(entry.mask, 'mask') as image:
        values = _one_channel(image)
    values = _allowed(values, entry)
    mask = Image.fromarray(values)
    return mask if turn is None else mask.transpose(turn)


def _one_channel(image: Image.Image) -> np.ndarray:
    """(H, W) uint8, if the file holds a single 8-bit channel in another form.

    In a palette image the indices are used: they stand for the classes.
    """
    values = np.asarray(image)
    if values.ndim == 3:
        colours = values[..., :-1] if image.mode in ('LA', 'RGBA') else values
        opaque = colours is values or (values[..., -1] == _OPAQUE).all()
        if not opaque or (colours != colours[..., :1]).any():
            raise FileProblem('mask channels', 'channels that differ')
        values = colours[..., 0]
    if values.dtype == bool:
        return np.where(values, np.uint8(255), np.uint8(0))
    whole = values.astype(np.uint8)
    if (whole != values).any():
        raise FileProblem('mask bit depth', 'values that do not fit 8 bits')
    return whole


def _allowed(values: np.ndarray, entry: Entry) -> np.ndarray:
    mask_format = entry.mask_format
    present = set(np.unique(values).tolist())
    # Some programs write 0 and 1 in place of 0 and 255.
    if mask_format.binary and present <= {0, 1}:
        return values * np.uint8(255)
    try:
        mask_format.decode(values, entry.mask)
    except MaskError as error:
        raise FileProblem('mask values', str(error)) from None
    return values
