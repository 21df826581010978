"""Mucus, blood and highlights, which hide the tissue."""

from __future__ import annotations

import numpy as np

from .scene import Scene
from .tissue import Tissue, blend
from .view import View

PART_MUCUS, PART_BLOOD, PART_REFLECTION = 4, 5, 6

_SLIME = np.array([0.82, 0.87, 0.72], np.float32)[:, None, None]
_BLOOD = np.array([0.36, 0.04, 0.04], np.float32)[:, None, None]


def put_mucus(scene: Scene, view: View, tissue: Tissue) -> None:
    """Put mucus with bubbles on the tissue.

    Args:
        scene: The scene.
        view: The view from medium distance.
        tissue: The tissue; changed in place.
    """
    strength = scene.confounders.mucus
    if not strength:
        return
    generator = view.generator(PART_MUCUS)
    threads, film = view.pattern(generator, 14, 2.5), view.pattern(generator, 6)
    amount = 0.5 * threads + 0.25 * film + _gathered(scene, view, 'mucus', strength)
    cover = np.clip(2.2 * amount, 0, 1) * np.float32(_opacity(strength) * 0.8)
    foam = view.pattern(generator, 30)
    bubbles = np.clip(1.6 * np.abs(foam) - 1.2, 0, 1)
    blend(tissue.colour, _SLIME, cover)
    tissue.colour += 0.22 * bubbles * cover
    tissue.height += 0.004 * cover * (1 + bubbles)
    _relight(tissue, cover)


def put_blood(scene: Scene, view: View, tissue: Tissue) -> None:
    """Put pools and runnels of blood on the tissue.

    Args:
        scene: The scene.
        view: The view from medium distance.
        tissue: The tissue; changed in place.
    """
    strength = scene.confounders.blood
    if not strength:
        return
    generator = view.generator(PART_BLOOD)
    runnels, pools = view.pattern(generator, 14, 3), view.pattern(generator, 4.5)
    drops = view.pattern(generator, 18)
    amount = 0.45 * runnels + 0.25 * pools + 0.2 * drops
    amount += _gathered(scene, view, 'blood', strength)
    cover = np.clip(2 * amount, 0, 1) * np.float32(_opacity(strength) * 0.88)
    thin = np.clip(1.3 - 0.8 * amount, 0, 1)
    blend(tissue.colour, _BLOOD * (1 + 0.8 * thin), cover)
    tissue.height *= 1 - 0.6 * cover
    _relight(tissue, cover)


def highlights(
    scene: Scene, view: View, facing: np.ndarray, light: np.ndarray
) -> np.ndarray | None:
    """Specular reflections of the lamp on wet tissue.

    Args:
        scene: The scene.
        view: The view from medium distance.
        facing: (size, size) cosine of the angle to the lamp.
        light: (size, size) how much light arrives.

    Returns:
        (size, size) strength of the reflection, from 0 to 1; None without any.
    """
    strength = scene.confounders.reflection
    if not strength:
        return None
    generator = view.generator(PART_REFLECTION)
    ripples, patches = view.pattern(generator, 34, 1.7), view.pattern(generator, 11)
    amount = 0.75 * ripples + 0.5 * patches + 3 * (facing - 0.92)
    amount += _gathered(scene, view, 'reflection', strength) - 0.75
    return np.clip(2.5 * amount, 0, 1) * light * np.float32(_opacity(strength))


def _relight(tissue: Tissue, cover: np.ndarray) -> None:
    """Brighten covered parts: they are nearer to the lamp than a dark lumen behind."""
    tissue.light += cover * (np.maximum(tissue.light, 0.6) - tissue.light)


def _gathered(scene: Scene, view: View, name: str, strength: float) -> np.ndarray:
    """Density: highest at the confounder's placement, and growing with its strength."""
    place = scene.placements[name]
    square = (view.x - np.float32(place.x)) ** 2 + (view.y - np.float32(place.y)) ** 2
    near = np.exp(square * np.float32(-1 / (2 * 0.16**2)))
    return np.float32(2.2 + 0.3 * strength) * near + np.float32(strength - 2.1)


def _opacity(strength: float) -> float:
    """Opacity: small amounts are transparent, so that nothing appears abruptly."""
    return min(1.0, 4 * strength)
