"""Pictures small enough to be sent to a page."""

from __future__ import annotations

import base64

import cv2
import numpy as np

_JPEG_QUALITY = 90


def shrink(image: np.ndarray, max_side: int) -> np.ndarray:
    """Shrink an image until its longer side fits; smaller ones stay as they are.

    Args:
        image: (H, W) or (H, W, C).
        max_side: Pixels.
    """
    height, width = image.shape[:2]
    scale = max_side / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def jpeg(image: np.ndarray) -> bytes:
    """Encode an image.

    Args:
        image: (H, W, 3) uint8, red first.

    Returns:
        A JPEG file.
    """
    flags = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    return cv2.imencode('.jpg', image[..., ::-1], flags)[1].tobytes()


def data_url(image: np.ndarray) -> str:
    """Encode an image as a URL that holds it.

    Args:
        image: (H, W, 3) uint8, red first.
    """
    return f'data:image/jpeg;base64,{base64.b64encode(jpeg(image)).decode()}'
