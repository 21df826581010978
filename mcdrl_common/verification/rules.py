"""What is wrong with one image and its mask."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mcdrl_common.findings import Finding
from mcdrl_common.mask_format import MaskError

from .entry import Entry, shown
from .facts import Facts

_COLOUR_MODES = ('RGB', 'P', 'YCbCr')
_GREY_MODES = ('1', 'L')
# Orientations that turn by a quarter.
QUARTER_TURNS = (5, 6, 7, 8)


def check_pair(entry: Entry, image: Facts, mask: Facts) -> list[Finding]:
    """All findings about one pair.

    Args:
        entry: The pair.
        image: Facts of its image.
        mask: Facts of its mask.
    """
    mask_name = shown(entry.mask, entry.root)
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
    """[height, width] as readers show the image that heed EXIF, OpenCV among them.

    Args:
        image: Facts of an image.
    """
    size = image['size']
    return size[::-1] if image['orientation'] in QUARTER_TURNS else size


def lesion_classes(entry: Entry, mask: Facts) -> tuple[str, ...] | None:
    """Names of the lesion classes in a mask; None where it cannot be read.

    Args:
        entry: The pair.
        mask: Facts of its mask.
    """
    if 'values' not in mask or mask['bits'] != 8 or not mask['equal_channels']:
        return None
    # The very code that training reads masks with, on the values that occur.
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
            f'EXIF orientation {image["orientation"]}: some readers turn it, some do '
            'not',
        )
    if image['bits'] > 8:
        yield 'image bit depth', f'{image["bits"]} bits a channel; readers keep 8'
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
        yield 'mask bit depth', f'{mask["bits"]} bits a value; expected 8'
    elif not mask['equal_channels']:
        palette = ' with a palette, read as colours' if mask['mode'] == 'P' else ''
        yield 'mask channels', f'mode {mask["mode"]}{palette}; expected one channel'
    else:
        try:
            values = np.array([mask['values']], np.uint8)
            entry.mask_format.decode(values, entry.mask)
        except MaskError as error:
            yield 'mask values', str(error).removeprefix(f'{entry.mask}: ')


def _size(size: list[int]) -> str:
    return f'{size[0]} x {size[1]}'
