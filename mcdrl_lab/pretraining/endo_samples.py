"""Makes one training image: crops, pastes or leaves out lesions, draws conditions.

The pack's healthy images are small crops from one hospital, and all its whole frames
show a polyp: a model could take frame or hospital for the lesion. Therefore lesions of
the masked images are pasted into healthy ones, as is healthy tissue in the shape of a
lesion, and windows without lesion are cropped from whole frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mcdrl_lab.simulation.drawn_conditions import (
    BLOOD,
    BRIGHT,
    CONDITIONS,
    DARK,
    NARROW_BAND,
    NEAR,
    REFLECTION,
    WHITE_LIGHT,
    Generator,
    draw_conditions,
    draw_strengths,
)

from .endo_pack import LABELS, Pack, PackImage, squared
from .endo_words import NORMAL, POLYP

MIXTURE = {
    'kvasir_seg/polyp': 0.42,
    'cp_child/normal mucosa': 0.2,
    'cp_child/polyp': 0.18,
    'wcebleedgen/bleeding': 0.11,
    'wcebleedgen/no bleeding': 0.09,
}
"""Share of each data set and label in a batch."""

UNKNOWN = -1

_DRAWN_SIDE = 192
_TRIES = 20  # random windows tried to find a healthy one
_VISIBLE = 0.005  # smallest share of the image at which a lesion counts as visible
# Beyond these values an image may be dark, bright or reflecting by nature: unless it is
# drawn, it is unknown whether the condition is present.
_DARK_LUMINANCE, _BRIGHT_LUMINANCE, _SPECULAR = 70, 185, 0.02


@dataclass(frozen=True)
class TrainingImage:
    """An image and everything that is known about it.

    Args:
        image: (side, side, 3) uint8, red first.
        mask: (side, side) uint8, 1 for lesion; None without an annotated mask.
        lesion: ``POLYP``, ``NORMAL`` or ``UNKNOWN``.
        present: (12,) int8, for each condition 1, 0 or ``UNKNOWN``.
        strength: (12,) float32, strength of each condition; NaN if not known.
    """

    image: np.ndarray
    mask: np.ndarray | None
    lesion: int
    present: np.ndarray
    strength: np.ndarray


def draw_sample(generator: Generator, pack: Pack, row: int, side: int) -> TrainingImage:
    """Make a training image.

    Args:
        generator: Source of all random choices.
        pack: The images; lesions and tissue to paste come from them too.
        row: Number of the image in the pack.
        side: Height and width of the result, in pixels.
    """
    entry, image, mask = pack.entries[row], pack.images[row], pack.masks[row]
    image, mask = _crop(generator, entry, image, mask)
    image, mask = _to_side(image, mask, _DRAWN_SIDE)
    if mask is not None and not mask.any() and generator.random() < 0.4:
        image, mask = _paste(generator, pack, image, mask)
    image, mask = _turn(generator, image, mask)
    image = _recolour(generator, image)
    if generator.random() < 0.35:
        image, mask = _frame(generator, image, mask)
    strengths = draw_strengths(generator)
    image, mask = draw_conditions(generator, image, mask, strengths)
    if generator.random() < 0.1:
        image = _overlay(generator, image)
    image, mask = _to_side(image, mask, side)
    present, strength = known_conditions(entry, strengths)
    lesion = known_lesion(entry, mask, strengths)
    return TrainingImage(image, mask, lesion, present, strength)


def known_lesion(entry: PackImage, mask: np.ndarray | None, strengths: dict) -> int:
    """Lesion label after the image was cropped and transformed.

    Args:
        entry: Row of the original image.
        mask: Mask of the transformed image, or None.
        strengths: Drawn conditions.
    """
    if mask is None:
        label = LABELS[entry.label]
        # A polyp without a mask may have left the field of view.
        lost = label is None or strengths.get(NEAR, 0) > 0.5
        return UNKNOWN if lost or label is None else label
    share = float(mask.mean())
    if share == 0:
        return NORMAL
    return POLYP if share >= _VISIBLE else UNKNOWN


def known_conditions(
    entry: PackImage, strengths: dict[int, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Which conditions an image has, lacks, or may naturally have.

    Args:
        entry: Row of the original image, with its measured columns.
        strengths: Drawn conditions.

    Returns:
        ``present`` and ``strength`` of :class:`TrainingImage`.
    """
    present = np.zeros(len(CONDITIONS), np.int8)
    strength = np.zeros(len(CONDITIONS), np.float32)
    if entry.luminance < _DARK_LUMINANCE:
        present[DARK] = UNKNOWN
    if entry.luminance > _BRIGHT_LUMINANCE:
        present[BRIGHT] = UNKNOWN
    if entry.specular > _SPECULAR:
        present[REFLECTION] = UNKNOWN
    present[WHITE_LIGHT] = 1
    strength[WHITE_LIGHT] = np.nan
    if entry.label == 'bleeding':
        present[BLOOD], strength[BLOOD] = 1, np.nan
    for number, value in strengths.items():
        present[number] = 1
        if not np.isnan(strength[number]):
            strength[number] = value
    if NARROW_BAND in strengths:
        present[WHITE_LIGHT] = 0
    return present, strength


def _to_side(
    image: np.ndarray, mask: np.ndarray | None, side: int
) -> tuple[np.ndarray, np.ndarray | None]:
    if mask is not None:
        mask = cv2.resize(mask, (side, side), interpolation=cv2.INTER_NEAREST)
    return squared(image, side), mask


def _window(
    generator: Generator, shape: tuple[int, int], least: float, most: float
) -> tuple[slice, slice]:
    """A window at a random position; ``least`` and ``most`` bound its relative size."""
    share = generator.uniform(least, most) * np.exp(generator.uniform(-0.15, 0.15, 2))
    height, width = (max(16, int(n * min(1.0, s))) for n, s in zip(shape, share))
    top = generator.integers(0, max(1, shape[0] - height + 1))
    left = generator.integers(0, max(1, shape[1] - width + 1))
    return slice(top, top + height), slice(left, left + width)


def _crop(
    generator: Generator, entry: PackImage, image: np.ndarray, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    shape = image.shape[:2]
    if mask is None:
        window = _window(generator, shape, 0.88, 1.0)
        return image[window], None
    if not mask.any():
        window = _window(generator, shape, 0.5, 1.0)
        return image[window], mask[window]
    kind = generator.random()
    if kind < 0.4:
        found = healthy_window(generator, image, mask)
        if found is not None:
            return image[found], mask[found]
    window = _window(generator, shape, 0.6, 1.0)
    if kind > 0.8:
        ys, xs = (np.flatnonzero(mask.sum(axis=axis)) for axis in (1, 0))
        spare = generator.uniform(0.1, 0.8, 4)
        height, width = ys[-1] - ys[0] + 1, xs[-1] - xs[0] + 1
        top, left = ys[0] - spare[0] * height, xs[0] - spare[1] * width
        bottom, right = ys[-1] + spare[2] * height, xs[-1] + spare[3] * width
        window = (
            slice(max(0, int(top)), int(bottom) + 2),
            slice(max(0, int(left)), int(right) + 2),
        )
    return image[window], mask[window]


def healthy_window(
    generator: Generator, image: np.ndarray, mask: np.ndarray
) -> tuple[slice, slice] | None:
    """A window of a masked frame that shows tissue and no lesion.

    Args:
        generator: Source of the position.
        image: (H, W, 3) uint8.
        mask: (H, W) uint8.

    Returns:
        Rows and columns, or None.
    """
    for attempt in range(_TRIES):
        # Large windows are tried first.
        most = 0.85 - 0.5 * attempt / _TRIES
        window = _window(generator, image.shape[:2], most - 0.1, most)
        if not mask[window].any() and image[window].max(axis=2).mean() > 60:
            return window
    return None


def _paste(
    generator: Generator, pack: Pack, image: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Paste a lesion, or healthy tissue in the shape of a lesion, with soft edges."""
    lesions = pack.rows_of('kvasir_seg/polyp')
    if not len(lesions):
        return image, mask
    number = int(generator.choice(lesions))
    source, form = pack.images[number], pack.masks[number]
    assert form is not None
    if not form.any():
        return image, mask
    ys, xs = (np.flatnonzero(form.sum(axis=axis)) for axis in (1, 0))
    window = slice(ys[0], ys[-1] + 1), slice(xs[0], xs[-1] + 1)
    patch, form = source[window], form[window]
    is_lesion = generator.random() < 0.6
    if not is_lesion:
        patch = _healthy_patch(generator, pack)
    side = image.shape[0]
    longest = int(side * generator.uniform(0.15, 0.6))
    scale = longest / max(form.shape)
    size = [max(6, int(n * scale)) for n in form.shape]
    patch, form = (
        cv2.resize(patch, (size[1], size[0]), interpolation=cv2.INTER_AREA),
        cv2.resize(form, (size[1], size[0]), interpolation=cv2.INTER_NEAREST),
    )
    if generator.random() < 0.5:
        patch, form = patch[:, ::-1], form[:, ::-1]
    top, left = (int(generator.integers(0, side - n + 1)) for n in size)
    place = slice(top, top + size[0]), slice(left, left + size[1])
    under = image[place].astype(np.float32)
    inside = form.astype(bool)
    colour = (under.mean(axis=(0, 1)) - patch[inside].mean(axis=0)) * (
        generator.uniform(0.3, 1.0)
    )
    alpha = cv2.GaussianBlur(form.astype(np.float32), (0, 0), 0.6 + side * 0.008)
    alpha = (alpha * form)[..., None] if generator.random() < 0.5 else alpha[..., None]
    image, mask = image.copy(), mask.copy()
    blended = under + (np.clip(patch + colour, 0, 255) - under) * alpha
    image[place] = blended.astype(np.uint8)
    if is_lesion:
        mask[place] = form
    return image, mask


def _healthy_patch(generator: Generator, pack: Pack) -> np.ndarray:
    kind = 'cp_child/normal mucosa'
    if generator.random() < 0.6 or not len(pack.rows_of(kind)):
        kind = 'kvasir_seg/polyp'
    number = int(generator.choice(pack.rows_of(kind)))
    image, mask = pack.images[number], pack.masks[number]
    assert mask is not None
    window = healthy_window(generator, image, mask)
    # Without such a window use the upper border, which is healthy in most images.
    return image[window] if window is not None else image[: image.shape[0] // 4]


def _turn(
    generator: Generator, image: np.ndarray, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    turns, flip = int(generator.integers(4)), generator.random() < 0.5

    def turned(array: np.ndarray) -> np.ndarray:
        array = np.rot90(array, turns)
        return np.ascontiguousarray(array[:, ::-1] if flip else array)

    return turned(image), None if mask is None else turned(mask)


def _recolour(generator: Generator, image: np.ndarray) -> np.ndarray:
    """Vary colours as they differ between endoscopes; this is not a condition."""
    gain = generator.uniform(0.88, 1.13, 3).astype(np.float32)
    table = np.linspace(0, 1, 256, dtype=np.float32) ** generator.uniform(0.85, 1.18)
    out = cv2.LUT(image, table) * (gain * 255)
    grey = out.mean(axis=2, keepdims=True)
    out = grey + (out - grey) * generator.uniform(0.75, 1.25)
    return np.clip(out, 0, 255).astype(np.uint8)


def _frame(
    generator: Generator, image: np.ndarray, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Add a random black border, so that borders do not reveal the data set."""
    side = image.shape[0]
    seen = np.zeros((side, side), np.uint8)
    kind = generator.integers(3)
    if kind == 0:
        radius = int(side * generator.uniform(0.48, 0.62))
        cv2.circle(seen, (side // 2, side // 2), radius, 1, -1)
    elif kind == 1:
        cut = int(side * generator.uniform(0.08, 0.3))
        inner = side - 1
        corners = [(cut, 0), (inner - cut, 0), (inner, cut), (inner, inner - cut)]
        corners += [(inner - cut, inner), (cut, inner), (0, inner - cut), (0, cut)]
        cv2.fillPoly(seen, [np.array(corners, np.int32)], 1)
    else:
        left, right = (generator.uniform(0, 0.3, 2) * side).astype(int)
        seen[:, left : side - right] = 1
    image = image * seen[..., None]
    return image, None if mask is None else mask * seen


def _overlay(generator: Generator, image: np.ndarray) -> np.ndarray:
    """Add a box or text as an endoscope's computer overlays it."""
    side = image.shape[0]
    image = image.copy()
    if generator.random() < 0.5:
        height, width = (generator.uniform(0.08, 0.25, 2) * side).astype(int)
        colour = generator.integers(0, 256, 3).astype(np.uint8)
        image[side - height :, :width] = colour
        return image
    y = int(generator.uniform(0.1, 0.9) * side)
    words = str(generator.integers(10**6, 10**8))
    cv2.putText(image, words, (2, y), cv2.FONT_HERSHEY_PLAIN, 0.7, (235, 235, 235))
    return image
