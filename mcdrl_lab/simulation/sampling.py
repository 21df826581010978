"""Random scenes: the same seed and index give the same scene, in any order."""

from __future__ import annotations

import math

import numpy as np

from .camera import FRAMES, in_frame
from .hospitals import LESION_RATES, SITES, Conditions
from .scene import (
    CONFOUNDERS,
    EXCLUSIVE,
    SURFACE_CONFOUNDERS,
    Anatomy,
    Confounders,
    Lesion,
    Placement,
    Scene,
    SceneError,
)

LESION_PLACES = ('central', 'anywhere')
"""Where lesions lie: in the middle of the image, or anywhere in the field of view."""

_RADII = {
    'polyp': (0.12, 0.20),
    'tumour': (0.17, 0.25),
    'inflammation': (0.16, 0.25),
    'nodule': (0.13, 0.19),
    'cyst': (0.11, 0.19),
}
_FRAME_RATES = (0.5, 0.3, 0.2)
_LUMEN_IN_VIEW = 0.6
# With 'anywhere', a lesion's centre is at most this share of the way to the border.
_REACH = 0.9
# Confounders beside the lesion lie in a sector of this angle, in radians, that points
# from the lesion to the image's centre.
_TURN = {'central': math.pi, 'anywhere': math.pi / 2}
# A present confounder is strong enough to be visible.
_MIN_STRENGTH = 0.5


def sample_scene(
    seed: int,
    index: int,
    conditions: Conditions | None = None,
    lesion_places: str = 'central',
) -> Scene:
    """Draw the variables of a scene.

    Anatomy and lesion do not depend on how strongly sites differ: the scenes of one
    site at several values of ``spurious`` only differ in their confounders. With
    ``'anywhere'`` scenes are those of ``'central'`` with another focus, and the
    positions that depend on it.

    Args:
        seed: Number of the data set, from 0.
        index: Number of the scene in its site, from 0.
        conditions: Site and shift. By default no site: confounders then do not depend
            on the lesion.
        lesion_places: One of ``LESION_PLACES``. It applies to healthy scenes too, so
            that the focus does not reveal whether there is a lesion.

    Raises:
        SceneError: Another value of ``lesion_places``.
    """
    if lesion_places not in LESION_PLACES:
        raise SceneError(
            f'lesion_places={lesion_places!r}: expected one of {list(LESION_PLACES)}.'
        )
    conditions = conditions or Conditions()
    place = 0 if conditions.site is None else 1 + SITES.index(conditions.site)
    streams = np.random.SeedSequence((seed, place, index)).spawn(5)
    anatomy, lesion, confounders, rest, places = map(np.random.default_rng, streams)
    focus_x, focus_y = anatomy.uniform(0.35, 0.65, 2).tolist()
    found = _lesion(lesion)
    name = None if found is None else found.name
    chances = {name: rest.random(3).tolist() for name in SURFACE_CONFOUNDERS}
    frame = FRAMES[rest.choice(len(FRAMES), p=_FRAME_RATES)]
    if lesion_places == 'anywhere':
        focus_x, focus_y = _anywhere(places, frame)
    return Scene(
        anatomy=_anatomy(anatomy, focus_x, focus_y),
        lesion=found,
        confounders=_confounders(confounders, conditions.rates(name)),
        focus_x=focus_x,
        focus_y=focus_y,
        placements=_placements(
            chances,
            (focus_x, focus_y),
            found,
            conditions.on_lesion(),
            _TURN[lesion_places],
        ),
        frame=frame,
        direction=rest.uniform(0, math.tau),
        pattern=int(rest.integers(2**31)),
    )


def _anywhere(generator: np.random.Generator, frame: str) -> tuple[float, float]:
    """A uniformly random position in the field of view."""
    while True:
        x, y = generator.uniform(-0.5, 0.5, 2).tolist()
        if in_frame(frame, abs(x), abs(y)):
            return 0.5 + _REACH * x, 0.5 + _REACH * y


def _anatomy(generator: np.random.Generator, focus_x: float, focus_y: float) -> Anatomy:
    in_view = generator.random() < _LUMEN_IN_VIEW
    away = generator.uniform(0.36, 0.52) if in_view else generator.uniform(0.75, 1.1)
    angle = generator.uniform(0, math.tau)
    return Anatomy(
        lumen_x=focus_x + away * math.cos(angle),
        lumen_y=focus_y + away * math.sin(angle),
        lumen_radius=generator.uniform(0.12, 0.20),
        fold_rate=generator.uniform(0.6, 1.5),
        fold_depth=generator.uniform(0.25, 0.75),
        vessels=generator.uniform(0.2, 1),
        texture=generator.uniform(0.2, 1),
        tint=generator.random(),
        light_angle=generator.uniform(0, math.tau),
    )


def _lesion(generator: np.random.Generator) -> Lesion | None:
    kinds = list(LESION_RATES)
    name = kinds[generator.choice(len(kinds), p=list(LESION_RATES.values()))]
    # Every class consumes the same random numbers, so none shifts later ones.
    size, aspect, angle, contrast = generator.random(4).tolist()
    if name is None:
        return None
    least, most = _RADII[name]
    return Lesion(
        name=name,
        radius=least + (most - least) * size,
        aspect=1 + 0.4 * aspect,
        angle=math.pi * angle,
        contrast=contrast,
    )


def _confounders(
    generator: np.random.Generator, rates: dict[str, float]
) -> Confounders:
    chances = dict(zip(CONFOUNDERS, generator.random(len(CONFOUNDERS)).tolist()))
    strengths = generator.uniform(_MIN_STRENGTH, 1, len(CONFOUNDERS)).tolist()
    there = {name: chances[name] < rates[name] for name in CONFOUNDERS}
    for first, second in EXCLUSIVE:
        # Both use the same random number, from opposite ends: never both.
        there[second] = 1 - chances[first] <= rates[second] and not there[first]
    return Confounders(
        **{n: s if there[n] else 0.0 for n, s in zip(CONFOUNDERS, strengths)}
    )


def _placements(
    chances: dict[str, list[float]],
    focus: tuple[float, float],
    lesion: Lesion | None,
    on_lesion: dict[str, float],
    most_turn: float,
) -> dict[str, Placement]:
    focus_x, focus_y = focus
    placements = {}
    for name, (chance, step, turn) in chances.items():
        on = lesion is not None and chance < on_lesion[name]
        if on:
            away, angle = 0.04 + 0.08 * step, math.tau * turn
        else:
            # Towards the centre of the image.
            middle = math.atan2(0.5 - focus_y, 0.5 - focus_x)
            away, angle = 0.27 + 0.09 * step, middle + most_turn * (turn - 0.5)
        placements[name] = Placement(
            x=focus_x + away * math.cos(angle),
            y=focus_y + away * math.sin(angle),
            on_lesion=on,
        )
    return placements
