"""The lamp: shading, exposure, unevenness and the imaging technique."""

from __future__ import annotations

import cv2
import numpy as np

from .scene import Scene
from .view import View

# Luminance of red, green and blue.
_GREY = np.array([0.30, 0.59, 0.11], np.float32)
# Narrow-band imaging shows green light as red, and blue light as green and blue:
# mucosa turns greenish grey, and whatever holds blood turns dark brown.
_NARROW_BAND = np.array(
    [[0.06, 0.74, 0.10], [0.00, 0.52, 0.62], [0.00, 0.34, 0.66]], np.float32
)


def shading(
    scene: Scene, view: View, height: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How squarely the relief faces the lamp.

    Args:
        scene: The scene.
        view: The camera's view of it.
        height: (size, size) relief, in image widths at medium distance.

    Returns:
        (size, size) brightness, 1 where the tissue lies flat, and (size, size) cosine
        of the angle to the lamp.
    """
    slope = np.float32(1 / (8 * view.pixel))
    right = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3) * slope
    down = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3) * slope
    angle = scene.anatomy.light_angle
    side_x, side_y = np.float32(0.42 * np.cos(angle)), np.float32(0.42 * np.sin(angle))
    steep = np.sqrt(1 + right * right + down * down)
    cosine = (1 - side_x * right - side_y * down) / steep
    return np.clip(cosine, 0.3, 1.2), cosine / np.float32(np.hypot(1, 0.42))


def lamp(scene: Scene, view: View) -> np.ndarray:
    """How much light the lamp emits towards each pixel.

    Args:
        scene: The scene.
        view: The camera's view of it.

    Returns:
        (size, size) float32.
    """
    confounders = scene.confounders
    steps = ((np.arange(view.size) + 0.5) / view.size - 0.5).astype(np.float32)
    x, y = steps[None], steps[:, None]
    square = x * x + y * y
    field = 1.06 - 0.55 * square
    if confounders.near:
        field += np.float32(confounders.near) * (0.22 - 1.3 * square)
    if confounders.far:
        field *= 1 - np.float32(confounders.far) * (0.12 + 0.9 * square)
    if confounders.uneven:
        across = np.cos(scene.direction) * x + np.sin(scene.direction) * y
        tilt = np.float32(2.4 * confounders.uneven)
        field *= np.exp(tilt * across.astype(np.float32))
    return field


def expose(scene: Scene, image: np.ndarray) -> None:
    """Over- and underexpose, then compress highlights as a camera does.

    Args:
        scene: The scene.
        image: (size, size, 3) light that arrives at the sensor, 0 or more; changed in
            place to values below 1.
    """
    confounders = scene.confounders
    gain = np.exp(0.65 * confounders.bright - 1.1 * confounders.dark)
    image *= np.float32(gain)
    image += np.float32(0.08 * confounders.bright)
    # Linear up to the knee; higher values approach 1.
    knee = np.float32(0.75)
    over = image - knee
    np.maximum(over, 0, out=over)
    image -= over
    over /= over + (1 - knee)
    over *= 1 - knee
    image += over


def technique(scene: Scene, image: np.ndarray) -> np.ndarray:
    """Show the image as narrow-band or enhanced white light imaging does.

    With neither of them, colours are pale and neutral.

    Args:
        scene: The scene.
        image: (3, size, size) reflected light.

    Returns:
        (size, size, 3) float32, from 0.
    """
    mix = _white_matrix(0.85, (1.0, 1.0, 1.0))
    narrow, white = scene.confounders.nbi, scene.confounders.white_light
    mix = mix + white * (_white_matrix(1.5, (1.10, 0.98, 0.82)) - mix)
    mix = mix + narrow * (_NARROW_BAND - mix)
    mixed = cv2.transform(cv2.merge(list(image)), mix.astype(np.float32))
    return np.maximum(mixed, 0, out=mixed)


def _white_matrix(saturation: float, balance: tuple[float, float, float]) -> np.ndarray:
    matrix = saturation * np.eye(3) + (1 - saturation) * _GREY[None]
    return np.array(balance)[:, None] * matrix
