"""The camera: blur, artifacts, noise and the frame around the picture."""

from __future__ import annotations

import cv2
import numpy as np

from .scene import Scene, SceneError
from .view import View

PART_NOISE = 7

FRAMES = ('full', 'octagon', 'circle')


def blur(scene: Scene, image: np.ndarray) -> np.ndarray:
    """Blur by defocus and by motion while the shutter is open.

    Args:
        scene: The scene.
        image: (size, size, 3).
    """
    strength = scene.confounders.blur
    if not strength:
        return image
    size = image.shape[0]
    image = cv2.GaussianBlur(image, (0, 0), max(0.014 * size * strength, 0.1))
    half = 0.02 * size * strength
    reach = int(np.ceil(half))
    step_x, step_y = np.cos(scene.direction), np.sin(scene.direction)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for part in np.linspace(-half, half, 4 * reach + 1):
        _add_point(kernel, reach + part * step_x, reach + part * step_y)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)


def _add_point(kernel: np.ndarray, x: float, y: float) -> None:
    """Spread a point over the four cells around it."""
    column, row = min(int(x), len(kernel) - 2), min(int(y), len(kernel) - 2)
    right, down = x - column, y - row
    kernel[row, column] += (1 - right) * (1 - down)
    kernel[row, column + 1] += right * (1 - down)
    kernel[row + 1, column] += (1 - right) * down
    kernel[row + 1, column + 1] += right * down


def artifacts(scene: Scene, image: np.ndarray) -> np.ndarray:
    """Add video artifacts: colour fringes, interlacing, compression blocks.

    Args:
        scene: The scene.
        image: (size, size, 3).
    """
    strength = scene.confounders.artifacts
    if not strength:
        return image
    size = image.shape[0]
    shift = 0.03 * size * strength
    red, green, blue = cv2.split(image)
    image = cv2.merge([_shifted(red, shift), green, _shifted(blue, -shift)])
    image[1::2] = _shifted(image, 0.8 * shift)[1::2]
    few = max(size // 8, 1)
    blocks = cv2.resize(image, (few, few), interpolation=cv2.INTER_AREA)
    blocks = cv2.resize(blocks, (size, size), interpolation=cv2.INTER_NEAREST)
    return image + np.float32(0.4 * strength) * (blocks - image)


def _shifted(image: np.ndarray, pixels: float) -> np.ndarray:
    matrix = np.array([[1, 0, pixels], [0, 1, 0]], np.float32)
    size = image.shape[1::-1]
    return cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE)


def add_noise(scene: Scene, view: View, image: np.ndarray) -> None:
    """Add the sensor's noise; it grows where the gain makes up for darkness.

    Args:
        scene: The scene.
        view: The camera's view of it.
        image: (size, size, 3); changed in place.
    """
    noise = view.generator(PART_NOISE).random(image.shape, dtype=np.float32)
    noise -= np.float32(0.5)
    noise *= np.float32(0.028 + 0.07 * scene.confounders.dark)
    image += noise


def frame(scene: Scene, view: View) -> np.ndarray | None:
    """Field of view: where the picture is on its black background.

    Args:
        scene: The scene.
        view: The camera's view of it.

    Returns:
        (size, size) bool; None if the picture fills the image.

    Raises:
        SceneError: No such frame.
    """
    if scene.frame == 'full':
        return None
    steps = np.abs((np.arange(view.size) + 0.5) / view.size - 0.5)
    return np.asarray(in_frame(scene.frame, steps[None], steps[:, None]))


def in_frame(
    name: str, x: np.ndarray | float, y: np.ndarray | float
) -> np.ndarray | bool:
    """Whether positions lie in the field of view.

    Args:
        name: One of ``FRAMES``.
        x: Horizontal distance from the image's centre, in image widths.
        y: Vertical distance, likewise.

    Raises:
        SceneError: No such frame.
    """
    if name == 'full':
        return (x < 0.5) & (y < 0.5)
    if name == 'octagon':
        return (x < 0.485) & (y < 0.485) & (x + y < 0.80)
    if name == 'circle':
        return x * x + y * y < 0.5**2
    raise SceneError(f'frame {name!r}: expected one of {list(FRAMES)}.')
