"""Rules for one image and its mask."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mcdrl_common.findings import Finding
from mcdrl_common.mask_format import (
    JPEG_RIPPLE,
    JPEG_SOFT_SHARE,
    LOSSY_SUFFIXES,
    THRESHOLD,
    MaskError,
    binary_problem,
)

from .entry import Entry, name_below
from .facts import Facts

_COLOUR_MODES = ('RGB', 'P', 'YCbCr')
_GREY_MODES = ('1', 'L')
# In an inverted mask, lesion reaches the image border almost everywhere; real lesions
# hardly ever do.
_MOST, _MAX_BORDER_SHARE = 0.5, 0.75
# EXIF orientations that rotate by 90 degrees.
QUARTER_TURNS = (5, 6, 7, 8)


def check_pair(entry: Entry, image: Facts, mask: Facts) -> list[Finding]:
    """All findings about one pair.

    Args:
        entry: The pair.
        image: Facts of its image.
        mask: Facts of its mask.
    """
    mask_name = name_below(entry.mask, entry.root)
    findings = [Finding(k, entry.name, d) for k, d in _image_findings(image)]
    findings += [Finding(k, mask_name, d) for k, d in _mask_findings(entry, mask)]
    if 'size' in image and 'size' in mask and mask['size'] != upright_size(image):
        detail = (
            f'{_size(mask["size"])}, its image {_size(upright_size(image))} (height x '
            'width)'
        )
        findings.append(Finding('mask size', mask_name, detail))
    return findings


def upright_size(image: Facts) -> list[int]:
    """[height, width] with EXIF's orientation applied, as OpenCV does.

    Args:
        image: Facts of an image.
    """
    size = image['size']
    return size[::-1] if image['orientation'] in QUARTER_TURNS else size


def lesion_classes(entry: Entry, mask: Facts) -> tuple[str, ...] | None:
    """Names of the lesion classes in a mask; None if it cannot be read.

    Args:
        entry: The pair.
        mask: Facts of its mask.
    """
    if 'values' not in mask or mask['bits'] != 8 or not mask['equal_channels']:
        return None
    # The code with which training reads masks, applied to the values that occur.
    values = np.array([mask['values']], np.uint8)
    try:
        return entry.mask_format.decode(values, entry.mask)[1]
    except MaskError:
        return None


def _image_findings(image: Facts) -> Iterator[tuple[str, str]]:
    if 'vanished' in image:
        yield 'vanished file', 'was listed, and is gone'
        return
    if 'error' in image:
        yield 'unreadable image', image['error']
        return
    if image['orientation'] != 1:
        yield (
            'rotated image',
            f'EXIF orientation {image["orientation"]}: some readers rotate it, others '
            'do not',
        )
    if image['bits'] > 8:
        yield 'image bit depth', f'{image["bits"]} bits per channel; readers keep 8'
    elif image['mode'] in _GREY_MODES:
        yield 'grey image', 'one channel, read as three equal ones'
    elif image['mode'] not in _COLOUR_MODES:
        yield 'image channels', f'mode {image["mode"]}; expected RGB'


def _mask_findings(entry: Entry, mask: Facts) -> Iterator[tuple[str, str]]:
    if 'vanished' in mask:
        yield 'vanished file', 'was listed, and is gone'
        return
    if 'error' in mask:
        yield 'unreadable mask', mask['error']
        return
    if mask['bits'] != 8:
        yield 'mask bit depth', f'{mask["bits"]} bits per value; expected 8'
    elif not mask['equal_channels']:
        palette = ' with a palette, read as colours' if mask['mode'] == 'P' else ''
        yield 'mask channels', f'mode {mask["mode"]}{palette}; expected one channel'
    else:
        yield from _value_findings(entry, mask)


def _value_findings(entry: Entry, mask: Facts) -> Iterator[tuple[str, str]]:
    is_binary = entry.mask_format.binary
    lossy = is_lossy(entry)
    values = mask['values']
    # A label map may have the same values as a 0/255 mask with soft edges.
    if is_binary and (problem := binary_problem(values, mask['flat'], lossy)):
        yield 'mask values', problem
        return
    try:
        entry.mask_format.decode(np.array([values], np.uint8), entry.mask)
    except MaskError as error:
        yield 'mask values', str(error).removeprefix(f'{entry.mask}: ')
        return
    low, high = (JPEG_RIPPLE, 255 - JPEG_RIPPLE) if lossy else (0, 255)
    soft = sum(s for v, s in zip(values, mask['shares']) if low < v < high)
    if is_binary and soft > (JPEG_SOFT_SHARE if lossy else 0):
        yield (
            'soft edges',
            f'{soft:.3%} of the pixels lie between {low} and {high}; above '
            f'{THRESHOLD} they count as lesion',
        )
    if is_probably_inverted(entry, mask):
        yield 'mostly lesion', 'most of it, and of its border, is lesion'


def is_probably_inverted(entry: Entry, mask: Facts) -> bool:
    """Whether a 0/255 mask looks inverted, with lesion and background swapped.

    Args:
        entry: The pair.
        mask: Facts of its mask.
    """
    if not entry.mask_format.binary or 'shares' not in mask:
        return False
    lesion = np.array(mask['values']) > THRESHOLD
    share, border = (
        float(np.array(mask[key])[lesion].sum()) for key in ('shares', 'border_shares')
    )
    return share > _MOST and border > _MAX_BORDER_SHARE


def is_faint(entry: Entry, mask: Facts) -> bool:
    """Whether a JPEG mask only has values like compression artefacts, and reads empty.

    This is so for a 0/1 mask saved as JPEG, and for an empty mask cropped from a JPEG.

    Args:
        entry: The pair.
        mask: Facts of its mask.
    """
    if not is_lossy(entry) or not entry.mask_format.binary:
        return False
    return 0 < max(mask.get('values', [0])) <= JPEG_RIPPLE


def is_lossy(entry: Entry) -> bool:
    """Whether the mask of a pair is a JPEG file.

    Args:
        entry: The pair.
    """
    return entry.mask.suffix.lower() in LOSSY_SUFFIXES


def _size(size: list[int]) -> str:
    return f'{size[0]} x {size[1]}'
