"""Crops maps of a padded input to the image within it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

Window = tuple[float, float, float, float]
"""Top, bottom, left and right of the image, as shares of the input's sides."""

WHOLE: Window = (0.0, 1.0, 0.0, 1.0)
"""Window of an image without padding."""


def window_of(metainfo: Mapping[str, Any], size: Sequence[int]) -> Window:
    """Position of the image within the data preprocessor's padded input.

    Args:
        metainfo: Metainfo of the image's sample.
        size: Height and width of the input.
    """
    padding = metainfo.get('img_padding_size', metainfo.get('padding_size'))
    if padding is None or not any(padding):
        return WHOLE
    left, right, top, bottom = padding
    height, width = size
    return top / height, 1 - bottom / height, left / width, 1 - right / width


def onto_image(
    values: np.ndarray,
    size: Sequence[int],
    window: Window = WHOLE,
    method: int = cv2.INTER_NEAREST,
) -> np.ndarray:
    """Crop a map to the image, and resize it to the image's size.

    Args:
        values: (h, w) map of the whole input.
        size: H and W of the image.
        window: Position of the image within the input.
        method: OpenCV's interpolation, ``INTER_NEAREST`` or ``INTER_LINEAR``.

    Returns:
        (H, W), of the same type.
    """
    height, width = size
    if window == WHOLE:
        return cv2.resize(values, (width, height), interpolation=method)
    top, bottom, left, right = window
    rows = _places(height, values.shape[0], top, bottom)
    columns = _places(width, values.shape[1], left, right)
    return cv2.remap(
        values,
        np.broadcast_to(columns[None], (height, width)).copy(),
        np.broadcast_to(rows[:, None], (height, width)).copy(),
        method,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _places(count: int, cells: int, begin: float, end: float) -> np.ndarray:
    """Coordinates of pixels on a map; cell centres have integer coordinates."""
    shares = begin + (end - begin) * (np.arange(count) + 0.5) / count
    return (cells * shares - 0.5).astype(np.float32)
