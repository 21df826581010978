"""The twelve imaging conditions of endoscopy, drawn on real images with a strength.

Each condition is an operation on a square image; its strength is the ground truth. Near
and far change the scale of image and mask; the others do not change geometry. Real
images are already in white light, so white light has no operation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from .scene import CONFOUNDER_PROMPTS

CONDITIONS = tuple(CONFOUNDER_PROMPTS.values())
"""Names in the order of the method's dictionary."""

(
    BLUR,
    ARTIFACTS,
    BRIGHT,
    DARK,
    UNEVEN,
    NARROW_BAND,
    WHITE_LIGHT,
    NEAR,
    FAR,
    MUCUS,
    BLOOD,
    REFLECTION,
) = range(len(CONDITIONS))

DRAWN = tuple(number for number in range(len(CONDITIONS)) if number != WHITE_LIGHT)
"""Conditions with an operation."""

EXCLUDING = ((BRIGHT, DARK), (NEAR, FAR))
"""Pairs of conditions that exclude each other."""

# Distance first, then substances on the tissue, light, technique, lens and cable.
_ORDER = (
    NEAR,
    FAR,
    MUCUS,
    BLOOD,
    REFLECTION,
    UNEVEN,
    BRIGHT,
    DARK,
    NARROW_BAND,
    BLUR,
    ARTIFACTS,
)
_MAX_CONDITIONS = 3
_BLACK = 16  # darker pixels lie outside the field of view

Generator = np.random.Generator


def draw_conditions(
    generator: Generator,
    image: np.ndarray,
    mask: np.ndarray | None,
    strengths: Mapping[int, float],
) -> tuple[np.ndarray, np.ndarray | None]:
    """Draw conditions in the order in which they arise in a real endoscope.

    Args:
        generator: Source of positions and shapes.
        image: (H, W, 3) uint8, red first.
        mask: (H, W) uint8 or None; near and far rescale it.
        strengths: Number of a condition -> strength in (0, 1].

    Returns:
        A new image and mask of the same sizes.

    Raises:
        ValueError: A strength outside (0, 1], or two conditions that exclude each
            other.
    """
    for number, strength in strengths.items():
        if not 0 < strength <= 1:
            raise ValueError(
                f'{CONDITIONS[number]}: strength {strength} must lie in (0, 1].'
            )
    for pair in EXCLUDING:
        if set(pair) <= set(strengths):
            names = ' and '.join(CONDITIONS[number] for number in pair)
            raise ValueError(f'{names} exclude each other.')
    for number in _ORDER:
        if number in (NEAR, FAR) and number in strengths:
            image, mask = _move(generator, image, mask, strengths[number], number)
        elif number in strengths:
            image = _OPERATIONS[number](generator, image, strengths[number])
    return image, mask


def draw_strengths(generator: Generator) -> dict[int, float]:
    """Choose an image's conditions at random; two fifths of all images get none.

    Args:
        generator: Source of the choice.

    Returns:
        Number of a condition -> strength, uniform in 0.25 to 1.
    """
    count = int(generator.integers(0, _MAX_CONDITIONS + 1))
    if generator.random() < 0.2:
        count = 0
    chosen: dict[int, float] = {}
    order: list[int] = generator.permutation(DRAWN).tolist()
    for number in order[:count]:
        rivals = {a + b - number for a, b in EXCLUDING if number in (a, b)}
        if not rivals & set(chosen):
            chosen[number] = float(generator.uniform(0.25, 1))
    return chosen


def smooth_field(generator: Generator, side: int, cells: int) -> np.ndarray:
    """Smooth random field.

    Args:
        generator: Source.
        side: Height and width in pixels.
        cells: Bumps along a side, at least 2.

    Returns:
        (side, side) float32, from 0 to 1.
    """
    coarse = generator.random((cells + 2, cells + 2), dtype=np.float32)
    field = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    low, high = float(field.min()), float(field.max())
    return (field - low) / max(high - low, 1e-6)


def _scaled(
    image: np.ndarray, gain: np.ndarray | float, shift: np.ndarray | float
) -> np.ndarray:
    out = image.astype(np.float32)
    out *= np.asarray(gain, np.float32)
    out += np.asarray(shift, np.float32)
    return np.clip(out, 0, 255, out=out).astype(np.uint8)


def _in_view(image: np.ndarray) -> np.ndarray:
    return (image.max(axis=2) > _BLACK).astype(np.float32)


def _blend(image: np.ndarray, layer: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    alpha = (alpha * _in_view(image)).astype(np.float32)[..., None]
    out = image.astype(np.float32)
    out += (layer.astype(np.float32) - out) * alpha
    return np.clip(out, 0, 255, out=out).astype(np.uint8)


def _blur(generator: Generator, image: np.ndarray, strength: float) -> np.ndarray:
    side = image.shape[0]
    if generator.random() < 0.5:
        return cv2.GaussianBlur(image, (0, 0), side * (0.006 + 0.018 * strength))
    length = int(side * (0.03 + 0.08 * strength)) | 1
    angle = generator.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * (length // 2)
    centre = length // 2
    begin, end = (np.rint(centre + sign * reach).astype(int) for sign in (-1, 1))
    kernel = np.zeros((length, length), np.float32)
    cv2.line(kernel, begin.tolist(), end.tolist(), 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def _artifacts(generator: Generator, image: np.ndarray, strength: float) -> np.ndarray:
    side = image.shape[0]
    kind = generator.integers(4)
    if kind == 0:  # blocks of a strong compression
        quality = int(16 - 12 * strength)
        bgr = np.ascontiguousarray(image[..., ::-1])
        code = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.ascontiguousarray(cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1])
    if kind == 1:  # noise of the sensor
        sigma = 12 + 38 * strength
        noise = generator.standard_normal(image.shape, dtype=np.float32)
        return _scaled(image + noise * sigma, 1.0, 0.0)
    if kind == 2:  # coarse pixels
        small = int(side / (2.5 + 3.5 * strength))
        coarse = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_NEAREST)
    # Two interlaced fields that were taken at different times.
    shifted = image.copy()
    rows = max(1, side // 96)
    odd = (np.arange(side) // rows) % 2 == 1
    shifted[odd] = np.roll(image, int(side * (0.015 + 0.045 * strength)), axis=1)[odd]
    return shifted


def _bright(generator: Generator, image: np.ndarray, strength: float) -> np.ndarray:
    view = _in_view(image)[..., None]
    return _scaled(image, 1.3 + 0.8 * strength, (15 + 35 * strength) * view)


def _dark(generator: Generator, image: np.ndarray, strength: float) -> np.ndarray:
    return _scaled(image, 0.6 - 0.42 * strength, 0.0)


def _uneven(generator: Generator, image: np.ndarray, strength: float) -> np.ndarray:
    side = image.shape[0]
    rows, columns = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
    if generator.random() < 0.5:
        angle = generator.uniform(0, 2 * np.pi)
        fall = np.cos(angle) * columns + np.sin(angle) * rows + 0.5
    else:
        y, x = generator.uniform(-0.45, 0.45, 2)
        fall = 1.3 * np.hypot(rows - y, columns - x)
    fall = np.clip(fall, 0, 1)
    gain = 1 + 0.45 * strength - (0.75 + 0.65 * strength) * fall
    return _scaled(image, np.maximum(gain, 0.06)[..., None], 0.0)


def _narrow_band(
    generator: Generator, image: np.ndarray, strength: float
) -> np.ndarray:
    share = 0.5 + 0.5 * strength
    green, blue = image[..., 1].astype(np.float32), image[..., 2].astype(np.float32)
    # The display shows the band at 540 nm as red and the one at 415 nm as the rest.
    seen = np.stack([0.95 * green, 1.1 * blue, 1.05 * blue], axis=2)
    return _scaled((1 - share) * image + share * seen, 1.05, 0.0)


def _move(
    generator: Generator,
    image: np.ndarray,
    mask: np.ndarray | None,
    strength: float,
    number: int,
) -> tuple[np.ndarray, np.ndarray | None]:
    side = image.shape[0]
    near = number == NEAR
    zoom = 1.35 + 1.05 * strength if near else 1 / (1.3 + 0.7 * strength)
    slack = abs(side - side / zoom) / 2
    centre = side / 2 + generator.uniform(-0.4, 0.4, 2) * slack
    matrix = np.array(
        [
            [zoom, 0, side / 2 - zoom * centre[0]],
            [0, zoom, side / 2 - zoom * centre[1]],
        ]
    )
    smooth = cv2.INTER_LINEAR if near else cv2.INTER_AREA
    moved = cv2.warpAffine(
        image, matrix, (side, side), flags=smooth, borderMode=cv2.BORDER_REFLECT_101
    )
    # Brightness falls with distance.
    moved = _scaled(moved, 1 + 0.15 * strength if near else 1 - 0.3 * strength, 0.0)
    if mask is not None:
        mask = cv2.warpAffine(
            mask,
            matrix,
            (side, side),
            flags=cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_REFLECT_101,
        )
    return moved, mask


def _mucus(generator: Generator, image: np.ndarray, strength: float) -> np.ndarray:
    side = image.shape[0]
    field = smooth_field(generator, side, int(generator.integers(3, 7)))
    field = 0.7 * field + 0.3 * smooth_field(generator, side, 14)
    covered = 0.2 + 0.35 * strength
    edge = np.quantile(field[::4, ::4], 1 - covered)
    film = np.clip((field - edge) / 0.12, 0, 1) * (0.45 + 0.4 * strength)
    colour = np.array([214, 208, 172], np.float32) + generator.uniform(-18, 18, 3)
    light = 0.55 + 0.45 * cv2.GaussianBlur(image, (0, 0), side * 0.02) / 255.0
    out = _blend(image, colour * light, film)
    bubbles = np.zeros((side, side), np.float32)
    for _ in range(int(4 + 16 * strength)):
        y, x = generator.integers(0, side, 2)
        if film[y, x] > 0:
            radius = int(side * generator.uniform(0.008, 0.03)) + 1
            cv2.circle(bubbles, (int(x), int(y)), radius, 0.5, 1, cv2.LINE_AA)
    return _blend(out, np.full(3, 245, np.float32), bubbles)


def _blood(generator: Generator, image: np.ndarray, strength: float) -> np.ndarray:
    side = image.shape[0]
    field = smooth_field(generator, side, int(generator.integers(2, 6)))
    field = 0.75 * field + 0.25 * smooth_field(generator, side, 12)
    covered = 0.1 + 0.35 * strength
    edge = np.quantile(field[::4, ::4], 1 - covered)
    depth = np.clip((field - edge) / 0.1, 0, 1) * generator.uniform(0.7, 0.95)
    colour = np.array([generator.uniform(95, 175), 12, 12], np.float32)
    colour[1:] += generator.uniform(-8, 14)
    light = 0.35 + 0.9 * image.mean(axis=2, keepdims=True) / 255.0
    return _blend(image, colour * light, depth)


def _reflection(generator: Generator, image: np.ndarray, strength: float) -> np.ndarray:
    side = image.shape[0]
    spots = np.zeros((side, side), np.float32)
    centres = generator.uniform(0.15, 0.85, (3, 2)) * side
    for _ in range(int(8 + 42 * strength)):
        if generator.random() < 0.6:
            y, x = centres[generator.integers(3)] + generator.normal(0, side * 0.09, 2)
        else:
            y, x = generator.uniform(0.05, 0.95, 2) * side
        axes = side * generator.uniform(0.004, 0.012 + 0.018 * strength, 2)
        cv2.ellipse(
            spots,
            (int(x), int(y)),
            (int(axes[0]) + 1, int(axes[1]) + 1),
            float(generator.uniform(0, 180)),
            0,
            360,
            1.0,
            -1,
            cv2.LINE_AA,
        )
    spots = np.maximum(spots, 0.6 * cv2.GaussianBlur(spots, (0, 0), side * 0.006))
    return _blend(image, np.array([255, 253, 248], np.float32), spots)


_OPERATIONS: dict[int, Callable[[Generator, np.ndarray, float], np.ndarray]] = {
    BLUR: _blur,
    ARTIFACTS: _artifacts,
    BRIGHT: _bright,
    DARK: _dark,
    UNEVEN: _uneven,
    NARROW_BAND: _narrow_band,
    MUCUS: _mucus,
    BLOOD: _blood,
    REFLECTION: _reflection,
}
