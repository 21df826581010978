"""Lesions: the outline, relief, colour and surface of the five classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .scene import LESION_CLASSES, Lesion, Scene
from .tissue import Tissue, blend, paint_vessels
from .view import View

PART_LESION = 3


@dataclass
class Appearance:
    """A lesion as drawn.

    Args:
        border: (size, size) 1 on the border, less inside, more outside.
        height: (size, size) relief over the mucosa, in radii of the lesion.
        colour: (3, size, size) reflectance.
        cover: (size, size) or a number: how much of the mucosa's colour it hides.
        vessels: How clearly vessels show on it, next to 1 for mucosa.
        lift: How far it protrudes from the wall, from 0 to 1.
        softness: Width of the border, in radii of the lesion; at least about a pixel.
    """

    border: np.ndarray
    height: np.ndarray
    colour: np.ndarray
    cover: np.ndarray | float
    vessels: float
    lift: float
    softness: float = 0.0


@dataclass
class _Place:
    """Coordinates in a lesion, in radii from its centre, along and across its axis."""

    lesion: Lesion
    view: View
    generator: np.random.Generator
    along: np.ndarray
    across: np.ndarray
    mucosa: np.ndarray

    @property
    def radial(self) -> np.ndarray:
        return np.hypot(self.along, self.across)

    def pattern(self, spots: float) -> np.ndarray:
        """A pattern with this number of spots per radius of the lesion."""
        return self.view.pattern(self.generator, spots / self.lesion.radius)


def draw_lesion(scene: Scene, view: View, tissue: Tissue) -> np.ndarray:
    """Draw the scene's lesion, if any, and the vessels, on and around it.

    Args:
        scene: The scene.
        view: The camera's view of it.
        tissue: Healthy tissue; changed in place.

    Returns:
        (size, size) bool, True where the lesion is.
    """
    lesion = scene.lesion
    if lesion is None:
        paint_vessels(tissue, np.float32(1))
        return np.zeros((view.size, view.size), bool)
    look = _APPEARANCES[lesion.name](_place(scene, lesion, view, tissue))
    edge = np.float32(max(1.2 * view.pixel / lesion.radius, look.softness))
    inside = np.clip((1 - look.border) / edge + 0.5, 0, 1)
    cover = inside * look.cover * np.float32(0.6 + 0.4 * lesion.contrast)
    blend(tissue.colour, look.colour, cover)
    paint_vessels(tissue, 1 + inside * np.float32(look.vessels - 1))
    raised = look.height * np.float32(lesion.radius)
    tissue.height += inside * (raised - 0.7 * tissue.height)
    # A protruding lesion is nearer to the lamp than the wall behind it, and shades the
    # tissue at its foot.
    lift = np.float32(look.lift)
    tissue.light += inside * lift * (np.maximum(tissue.light, 0.85) - tissue.light)
    foot = np.exp(-np.square((look.border - 1) / 0.30)) * (1 - inside)
    tissue.light *= 1 - np.float32(0.35 * lift) * foot * _shaded_side(
        scene, lesion, view
    )
    return look.border <= 1


def _shaded_side(scene: Scene, lesion: Lesion, view: View) -> np.ndarray:
    """1 on the side of the lesion that faces away from the lamp, 0 on the other."""
    angle, radius = scene.anatomy.light_angle, lesion.radius
    towards_x = np.float32(np.cos(angle) / radius) * (view.x - scene.focus_x)
    towards_y = np.float32(np.sin(angle) / radius) * (view.y - scene.focus_y)
    return np.clip(0.55 - 0.45 * (towards_x + towards_y), 0.1, 1).astype(np.float32)


def _place(scene: Scene, lesion: Lesion, view: View, tissue: Tissue) -> _Place:
    dx, dy = view.x - scene.focus_x, view.y - scene.focus_y
    cos, sin = np.cos(lesion.angle), np.sin(lesion.angle)
    stretch = np.sqrt(lesion.aspect)
    along = ((cos * dx + sin * dy) / (lesion.radius * stretch)).astype(np.float32)
    across = ((cos * dy - sin * dx) / (lesion.radius / stretch)).astype(np.float32)
    generator = view.generator(PART_LESION)
    return _Place(lesion, view, generator, along, across, tissue.colour)


def _rgb(red: float, green: float, blue: float) -> np.ndarray:
    return np.array([red, green, blue], np.float32)[:, None, None]


def _dome(radial: np.ndarray) -> np.ndarray:
    # Less steep at the foot than a hemisphere, whose slope is infinite there.
    return np.maximum(1 - radial * radial, 0) ** 0.75


def _coherent(radial: np.ndarray, uneven: np.ndarray) -> np.ndarray:
    """An uneven outline without islands far from the lesion."""
    return radial * (1 + uneven) + 4 * np.maximum(radial - 1.15, 0)


def _polyp(place: _Place) -> Appearance:
    """A smooth, round, fleshy bump."""
    border = place.radial * (1 + 0.06 * place.pattern(1.0))
    colour = place.mucosa * _rgb(1.02, 0.74, 0.72) + 0.012 * place.pattern(5)
    return Appearance(border, 0.62 * _dome(border), colour, 1.0, 0.6, lift=1.0)


def _tumour(place: _Place) -> Appearance:
    """A large, lobed, cauliflower-like mass, dark red with pale dead patches."""
    lobes, knobs, dead = place.pattern(1.6), place.pattern(4.5), place.pattern(2.2)
    border = _coherent(place.radial, 0.16 * lobes + 0.06 * knobs)
    height = _dome(border) * (0.34 + 0.10 * lobes + 0.07 * knobs)
    pale = np.clip(1.3 * dead - 1.1, 0, 0.85)
    colour = _rgb(0.70, 0.33, 0.31) * (1 + 0.10 * lobes + 0.13 * knobs)
    colour = colour + pale * (_rgb(0.88, 0.80, 0.64) - colour)
    return Appearance(border, height, colour, 1.0, 0.15, lift=1.0)


def _inflammation(place: _Place) -> Appearance:
    """A flat, red, granular patch with a map-like outline and whitish specks."""
    coast, grain, specks = place.pattern(1.5), place.pattern(9), place.pattern(5)
    border = _coherent(place.radial, 0.20 * coast + 0.05 * specks)
    colour = _rgb(0.86, 0.36, 0.33) * (1 + 0.12 * grain)
    white = np.clip(2.5 * specks - 3.9, 0, 0.9)
    colour = colour + white * (_rgb(0.92, 0.86, 0.70) - colour)
    cover = np.clip(0.85 + 0.10 * coast + 0.10 * grain, 0.65, 1)
    return Appearance(
        border, 0.02 * grain, colour, cover, 0.0, lift=0.15, softness=0.10
    )


def _nodule(place: _Place) -> Appearance:
    """Two or three small, firm, whitish bumps side by side."""
    bumps = int(place.generator.integers(2, 4))
    spread = np.linspace(-0.62, 0.62, bumps, dtype=np.float32)
    sides = place.generator.uniform(-0.3, 0.3, bumps).astype(np.float32)
    sizes = place.generator.uniform(0.36, 0.58, bumps).astype(np.float32)
    border = np.min(
        [
            np.hypot(place.along - a, place.across - b) / r
            for a, b, r in zip(spread, sides, sizes)
        ],
        axis=0,
    )
    border = border * (1 + 0.07 * place.pattern(3))
    colour = _rgb(0.96, 0.84, 0.77) * (1 + 0.03 * place.pattern(8))
    return Appearance(border, 0.24 * _dome(border), colour, 0.85, 0.1, lift=0.7)


def _cyst(place: _Place) -> Appearance:
    """A taut, translucent, amber dome with a bright rim and vessels across it."""
    border = place.radial * (1 + 0.02 * place.pattern(1.0))
    rim = np.minimum(border, 1) ** 4
    colour = _rgb(0.80, 0.66, 0.36) + _rgb(0.17, 0.20, 0.22) * rim
    return Appearance(border, 0.30 * _dome(border), colour, 0.92, 1.2, lift=0.9)


_APPEARANCES: dict[str, Callable[[_Place], Appearance]] = dict(
    zip(LESION_CLASSES, (_polyp, _tumour, _inflammation, _nodule, _cyst), strict=True)
)
