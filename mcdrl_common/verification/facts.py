"""Facts about a single file, as plain data for a cache."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mcdrl_common.findings import FileProblem
from mcdrl_common.image_copies import fingerprint
from mcdrl_common.image_files import EXIF_ORIENTATION, bits_per_channel, opened
from mcdrl_common.mask_files import decoded_mask
from mcdrl_common.mask_format import flat_values

FACTS_VERSION = 3
"""Version of the facts; increase it when the facts of an unchanged file change."""

Facts = dict[str, Any]

_MAX_VALUES = 256


def image_facts(path: Path) -> Facts:
    """Read an image completely.

    Args:
        path: The file.

    Returns:
        ``size`` [height, width] as stored, Pillow's ``mode``, ``bits`` per channel,
        EXIF's ``orientation`` (1 is upright), ``content`` and ``look``, the digests of
        :class:`~mcdrl_common.image_copies.Fingerprint`; or ``error``.
    """
    try:
        with opened(path, 'image') as image:
            found = fingerprint(image.convert('RGB'))
            return {
                'size': [image.height, image.width],
                'mode': image.mode,
                'bits': bits_per_channel(path, image),
                'orientation': _orientation(image),
                'content': found.content,
                'look': found.perceptual,
            }
    except FileProblem as problem:
        return {'error': problem.detail}
    except Exception as error:
        # Damaged files may raise any exception in a decoder.
        return {'error': f'{type(error).__name__}: {error}'}


def mask_facts(path: Path) -> Facts:
    """Read a mask completely, as training does.

    Args:
        path: The file.

    Returns:
        ``size`` [height, width], Pillow's ``mode``, ``bits``, ``equal_channels``
        (whether all channels agree), ``values`` that occur (at most 256) with their
        ``shares`` of all pixels and ``border_shares`` of the border pixels, ``flat``,
        the values that fill areas, and ``content``, a digest of size and pixels; or
        ``error``.
    """
    try:
        with opened(path, 'mask') as image:
            mode = image.mode
        mask = decoded_mask(path)
    except FileProblem as problem:
        return {'error': problem.detail}
    except Exception as error:
        return {'error': f'{type(error).__name__}: {error}'}
    channels = mask.reshape(*mask.shape[:2], -1)
    return {
        'size': list(mask.shape[:2]),
        'mode': mode,
        'bits': 8 * mask.dtype.itemsize,
        'equal_channels': bool((channels == channels[..., :1]).all()),
        'content': _digest(mask),
        **_value_facts(channels[..., 0]),
    }


def _digest(mask: np.ndarray) -> str:
    digest = hashlib.sha256(repr((mask.shape, mask.dtype.str)).encode())
    digest.update(np.ascontiguousarray(mask).data)
    return digest.hexdigest()


def are_image_facts(facts: Any) -> bool:
    """Whether a value has the layout of :func:`image_facts`.

    Args:
        facts: Any JSON value.
    """
    return _are_facts(facts, _IMAGE_LAYOUT)


def are_mask_facts(facts: Any) -> bool:
    """Whether a value has the layout of :func:`mask_facts`.

    Args:
        facts: Anything that JSON can hold.
    """
    if not _are_facts(facts, _MASK_LAYOUT):
        return False
    lengths = {len(facts[key]) for key in _BY_VALUE} if 'values' in facts else {1}
    return len(lengths) == 1 and 0 not in lengths


def _are_facts(facts: Any, layout: Mapping[str, Callable[[Any], bool]]) -> bool:
    if not isinstance(facts, dict):
        return False
    if facts.keys() == {'error'}:
        return isinstance(facts['error'], str)
    return facts.keys() == layout.keys() and all(
        is_right(facts[key]) for key, is_right in layout.items()
    )


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_value(value: Any) -> bool:
    # Any number: masks of more than 8 bits or of floats are refused elsewhere.
    return isinstance(value, int | float) and math.isfinite(value)


def _is_size(value: Any) -> bool:
    return _all_match(value, _is_count) and len(value) == 2


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch('[0-9a-f]{64}', value) is not None


def _all_match(value: Any, is_right: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(is_right, value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_IMAGE_LAYOUT: dict[str, Callable[[Any], bool]] = {
    'size': _is_size,
    'mode': _is_text,
    'bits': _is_count,
    'orientation': lambda value: value in range(1, 9),
    'content': _is_digest,
    'look': _is_digest,
}
_BY_VALUE = ('values', 'shares', 'border_shares')
_MASK_LAYOUT: dict[str, Callable[[Any], bool]] = {
    'size': _is_size,
    'mode': _is_text,
    'bits': _is_count,
    'equal_channels': lambda value: isinstance(value, bool),
    'content': _is_digest,
    'values': lambda value: _all_match(value, _is_value),
    'shares': lambda value: _all_match(value, _is_share),
    'border_shares': lambda value: _all_match(value, _is_share),
    'flat': lambda value: _all_match(value, _is_count),
}


def _value_facts(mask: np.ndarray) -> Facts:
    values, counts = np.unique(mask, return_counts=True)
    border = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
    on_border = [(border == value).mean() for value in values[:_MAX_VALUES]]
    return {
        'values': values[:_MAX_VALUES].tolist(),
        'shares': [round(n / mask.size, 6) for n in counts[:_MAX_VALUES].tolist()],
        'border_shares': [round(float(share), 6) for share in on_border],
        'flat': flat_values(mask) if mask.dtype == np.uint8 else [],
    }


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation; invalid values count as upright, as in other readers."""
    try:
        value = image.getexif().get(EXIF_ORIENTATION, 1)
    except (SyntaxError, ValueError, OSError):
        return 1
    return value if value in range(1, 9) else 1
