"""Masks and heat-maps laid over an image, safe for colour-blind readers."""

from __future__ import annotations

import cv2
import matplotlib
import numpy as np

from .padding import WHOLE, Window, onto_image

# Okabe and Ito's colours, red first; strongest contrast to mucosa first.
MASK_COLORS = (
    (86, 180, 233),
    (240, 228, 66),
    (0, 158, 115),
    (204, 121, 167),
    (0, 114, 178),
    (230, 159, 0),
)
HEAT_COLORMAP = 'cividis'


def mask_overlay(
    image: np.ndarray, mask: np.ndarray, opacity: float = 0.35
) -> np.ndarray:
    """Fill each class lightly and draw its outline.

    The outline is a coloured line on a black one, so that it is visible on bright and
    dark tissue and in black and white.

    Args:
        image: (H, W, 3) uint8, red first.
        mask: (H, W) labels: 0 is background, 255 is ignored, the rest are classes.
            Bool is one class.
        opacity: Opacity of the filling, in [0, 1].

    Returns:
        (H, W, 3) uint8, red first, a new array.

    Raises:
        ValueError: Image and mask differ in size.
    """
    _check_sizes(image, mask)
    result = image.copy()
    for label in np.unique(mask):
        if label in (0, 255):
            continue
        color = MASK_COLORS[(int(label) - 1) % len(MASK_COLORS)]
        inside = mask == label
        filled = (1 - opacity) * image[inside] + opacity * np.array(color)
        result[inside] = np.rint(filled).astype(np.uint8)
        _draw_outline(result, inside, color)
    return result


def outline(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Draw only the outline of a mask.

    Args:
        image: (H, W, 3) uint8, red first.
        mask: (H, W) bool.

    Returns:
        (H, W, 3) uint8, red first, a new array.

    Raises:
        ValueError: Image and mask differ in size.
    """
    _check_sizes(image, mask)
    result = image.copy()
    _draw_outline(result, mask, MASK_COLORS[0])
    return result


def heat_map(
    image: np.ndarray,
    values: np.ndarray,
    low: float | None = None,
    high: float | None = None,
    opacity: float = 0.6,
    window: Window = WHOLE,
) -> np.ndarray:
    """Lay a map of any grid over an image.

    Args:
        image: (H, W, 3) uint8, red first.
        values: (h, w); at NaN the image is only darkened.
        low: Value of the first colour; None takes the smallest.
        high: Value of the last colour; None takes the largest.
        opacity: Opacity of the map, in [0, 1].
        window: Part of the map that covers the image.

    Returns:
        (H, W, 3) uint8, red first, a new array.
    """
    size = image.shape[:2]
    known = np.isfinite(values)
    low = np.min(values, where=known, initial=np.inf) if low is None else low
    high = np.max(values, where=known, initial=-np.inf) if high is None else high
    scaled = (np.where(known, values, low) - low) / max(high - low, 1e-12)
    # Nearest neighbour keeps the edges of missing positions; a full map is smooth.
    method = cv2.INTER_LINEAR if known.all() else cv2.INTER_NEAREST
    scaled = np.clip(scaled, 0, 1).astype(np.float32)
    scaled = onto_image(scaled, size, window, method)
    shown = onto_image(known.astype(np.uint8), size, window).astype(bool)
    colors = matplotlib.colormaps[HEAT_COLORMAP](scaled)[..., :3] * 255
    blended = (1 - opacity) * image + opacity * np.where(shown[..., None], colors, 0)
    return np.rint(blended).astype(np.uint8)


def _check_sizes(image: np.ndarray, mask: np.ndarray) -> None:
    if image.shape[:2] != mask.shape:
        raise ValueError(
            f'the mask is {mask.shape[1]} x {mask.shape[0]} pixels, the image '
            f'{image.shape[1]} x {image.shape[0]} (width x height). Both must have '
            'the same size.'
        )


def _draw_outline(
    image: np.ndarray, inside: np.ndarray, color: tuple[int, int, int]
) -> None:
    """Draw in place; thicker on larger images."""
    width = max(1, round(min(inside.shape) / 150))
    contours, _ = cv2.findContours(
        inside.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
    )
    cv2.drawContours(image, contours, -1, (0, 0, 0), 3 * width)
    cv2.drawContours(image, contours, -1, color, width)
