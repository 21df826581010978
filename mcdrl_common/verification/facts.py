"""What a single file says about itself, as plain data that a cache can hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mcdrl_common.findings import FileProblem
from mcdrl_common.image_copies import fingerprint
from mcdrl_common.image_files import EXIF_ORIENTATION, bits_per_channel, opened
from mcdrl_common.mask_files import read_mask_pixels
from mcdrl_common.mask_format import flat_values

FACTS_VERSION = 2
"""To be counted up whenever facts of the same file come out differently."""

Facts = dict[str, Any]

_MOST_VALUES = 256


def image_facts(path: Path) -> Facts:
    """Read an image to its last byte.

    Args:
        path: The file.

    Returns:
        ``size`` [height, width] as stored, ``mode`` of Pillow, ``bits`` a channel,
        ``orientation`` of EXIF (1 is upright), ``content`` and ``look``, the digests of
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
        # Damaged files fail decoders in ways that these do not foresee.
        return {'error': f'{type(error).__name__}: {error}'}


def mask_facts(path: Path) -> Facts:
    """Read a mask to its last byte, as training does.

    Args:
        path: The file.

    Returns:
        ``size`` [height, width], ``mode`` of Pillow, ``bits``, ``equal_channels``
        (whether all channels agree), ``values``, those that occur, at most 256, with
        their ``shares`` of the pixels and ``border_shares`` of the outermost ones, and
        ``flat``, the values that fill areas; or ``error``.
    """
    try:
        with opened(path, 'mask') as image:
            mode = image.mode
        mask = read_mask_pixels(path)
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
        **_value_facts(channels[..., 0]),
    }


def _value_facts(mask: np.ndarray) -> Facts:
    values, counts = np.unique(mask, return_counts=True)
    border = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
    on_border = [(border == value).mean() for value in values[:_MOST_VALUES]]
    return {
        'values': values[:_MOST_VALUES].tolist(),
        'shares': [round(n / mask.size, 6) for n in counts[:_MOST_VALUES].tolist()],
        'border_shares': [round(float(share), 6) for share in on_border],
        'flat': flat_values(mask) if mask.dtype == np.uint8 else [],
    }


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation; values that are none count as upright, as readers do."""
    try:
        value = image.getexif().get(EXIF_ORIENTATION, 1)
    except (SyntaxError, ValueError, OSError):
        return 1
    return value if value in range(1, 9) else 1
