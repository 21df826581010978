"""Small pictures for HTML pages, as JPEG bytes or data URIs."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_JPEG_QUALITY = 90


def shrink(image: np.ndarray, max_side: int) -> np.ndarray:
    """Shrink an image until its longer side fits; smaller ones stay as they are.

    Args:
        image: (H, W) or (H, W, C).
        max_side: Largest length of the longer side, in pixels.
    """
    height, width = image.shape[:2]
    scale = max_side / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def jpeg(image: np.ndarray, quality: int = _JPEG_QUALITY) -> bytes:
    """Encode an image.

    Args:
        image: (H, W, 3) uint8, red first.
        quality: From 0 to 100.

    Returns:
        A JPEG file.
    """
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return cv2.imencode('.jpg', image[..., ::-1], flags)[1].tobytes()


def figure_uri(figure: Figure, dpi: float = 130) -> str:
    """A figure as a PNG inside a data URI.

    Args:
        figure: The figure.
        dpi: Pixels an inch.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi, format='png')
    return _uri(buffer.getvalue(), 'png')


def image_uri(image: np.ndarray) -> str:
    """A photograph as a JPEG inside a data URI.

    Args:
        image: (H, W, 3) uint8, red first.
    """
    return _uri(jpeg(image), 'jpeg')


def _uri(content: bytes, kind: str) -> str:
    return f'data:image/{kind};base64,{base64.b64encode(content).decode("ascii")}'
