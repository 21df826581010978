"""Healthy tissue: mucosa, folds, vessels and the lumen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .scene import Scene
from .view import View

PART_SHAPE, PART_VESSELS, PART_GRAIN = 0, 1, 2

_PALE = np.array([0.90, 0.63, 0.58], np.float32)
_BROWN = np.array([0.88, 0.59, 0.47], np.float32)
_VESSEL = np.array([0.62, 0.22, 0.22], np.float32)[:, None, None]
# Where more blood shows through, green and blue decrease more than red.
_MOTTLING = np.array([0.4, 1.0, 1.0], np.float32)[:, None, None]
# Brightness at the end of the lumen, relative to 1 for tissue near the lamp.
_DEEP = 0.07


@dataclass
class Tissue:
    """Tissue before it is lit.

    Args:
        colour: (3, size, size) reflectance of red, green and blue.
        height: (size, size) relief, in image widths at medium distance.
        light: (size, size) how much of the lamp's light arrives.
        vessels: (size, size) where vessels run, from 0 to 1.
    """

    colour: np.ndarray
    height: np.ndarray
    light: np.ndarray
    vessels: np.ndarray


def draw_tissue(scene: Scene, view: View) -> Tissue:
    """Draw healthy tissue, without the colour of vessels.

    Args:
        scene: The scene.
        view: The camera's view of it.
    """
    anatomy = scene.anatomy
    shape = view.generator(PART_SHAPE)
    wave, broad = view.pattern(shape, 2.5), view.pattern(shape, 4)
    distance = np.hypot(view.x - anatomy.lumen_x, view.y - anatomy.lumen_y)
    distance = distance * np.exp(0.22 * wave + 0.08 * broad) + np.float32(1e-3)
    relative = distance / np.float32(anatomy.lumen_radius)
    light = _lumen_light(relative) * _folds(scene, relative, wave, broad)
    grain = view.generator(PART_GRAIN)
    middle, fine = view.pattern(grain, 12), view.pattern(grain, 40)
    texture = np.float32(anatomy.texture)
    height = texture * (0.006 * broad + 0.0016 * middle + 0.0005 * fine)
    tint = np.float32(anatomy.tint)
    base = (1 - tint) * _PALE + tint * _BROWN
    mottling = 0.03 * broad + (0.02 + 0.03 * texture) * middle + 0.02 * fine
    colour = _MOTTLING * mottling
    colour += 1
    colour *= base[:, None, None].astype(np.float32)
    return Tissue(colour, height, light, _vessels(scene, view))


def blend(colour: np.ndarray, other: np.ndarray, cover: np.ndarray | float) -> None:
    """Cover a colour with another.

    Args:
        colour: (3, size, size) reflectance; changed in place.
        other: (3, size, size) or (3, 1, 1) reflectance.
        cover: (size, size) or a number: how much is hidden, from 0 to 1.
    """
    step = other - colour
    step *= cover
    colour += step


def paint_vessels(tissue: Tissue, visibility: np.ndarray | np.floating) -> None:
    """Put the vessels' colour on the tissue.

    Args:
        tissue: The tissue; changed in place.
        visibility: (size, size) how clearly they show, from 0 to 1.
    """
    blend(tissue.colour, _VESSEL, tissue.vessels * visibility)


def _lumen_light(relative: np.ndarray) -> np.ndarray:
    cube = relative * relative * relative
    return _DEEP + (1 - _DEEP) * cube / (cube + 1)


def _folds(
    scene: Scene, relative: np.ndarray, wave: np.ndarray, broad: np.ndarray
) -> np.ndarray:
    """Rings around the lumen: bright at their crest, dark behind it."""
    anatomy = scene.anatomy
    turns = np.float32(anatomy.fold_rate) * np.log2(relative) + 0.3 * wave
    behind = turns - np.floor(turns)
    groove = behind * np.sqrt(behind) * np.minimum((1 - behind) / 0.14, 1)
    depth = anatomy.fold_depth * np.clip(0.45 + 0.6 * broad, 0, 1)
    # Deep in the lumen the rings are too dense to be told apart.
    depth *= np.clip(1.6 * relative - 0.9, 0, 1)
    return 1 - depth.astype(np.float32) * groove


def _vessels(scene: Scene, view: View) -> np.ndarray:
    """Thin lines that wind, branch and fade: the zero crossings of smooth patterns."""
    generator = view.generator(PART_VESSELS)
    bend = view.pattern(generator, 16)
    total: np.ndarray | np.floating = np.float32(0)
    for frequency, width in ((4.0, 0.055), (9.0, 0.085)):
        course = view.pattern(generator, frequency) + 0.2 * bend
        strength = np.clip(view.pattern(generator, frequency) * 0.5 + 0.4, 0, 0.85)
        # A line must not be thinner than about a pixel.
        reach = np.float32(max(width, 1.6 * frequency * view.pixel))
        line = strength * np.exp(-((course / reach) ** 2)) * (width / reach)
        total = np.maximum(total, line)
    return np.asarray(total * np.float32(scene.anatomy.vessels))
