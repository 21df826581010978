"""The same scene with one confounder absent and at full strength."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .drawing import draw
from .scene import EXCLUSIVE, Scene, do

MASK_CHANGING = ('near', 'far')
"""Confounders that change the scale of a scene, and so its mask."""

_PARTNER = {name: other for pair in EXCLUSIVE for name, other in (pair, pair[::-1])}


@dataclass(frozen=True)
class Pictures:
    """Scenes as arrays.

    Args:
        images: (n, size, size, 3) uint8, blue first.
        masks: (n, size, size) bool, lesion or not.
    """

    images: np.ndarray
    masks: np.ndarray


def scene_pair(scene: Scene, confounder: str) -> tuple[Scene, Scene]:
    """The scene under do(confounder = 0) and do(confounder = 1).

    All other confounders stay as they are, except one that excludes this one, as dark
    excludes bright lighting: it is absent in both scenes.

    Args:
        scene: The scene.
        confounder: One of ``CONFOUNDERS``.
    """
    if confounder in _PARTNER:
        scene = do(scene, **{_PARTNER[confounder]: 0.0})
    return do(scene, **{confounder: 0.0}), do(scene, **{confounder: 1.0})


def draw_pictures(scenes: Iterable[Scene], size: int) -> Pictures:
    """Draw scenes.

    Args:
        scenes: One or more scenes.
        size: Height and width in pixels.
    """
    drawn = [draw(scene, size=size) for scene in scenes]
    images = np.stack([image[..., ::-1] for image, _ in drawn])
    return Pictures(images, np.stack([mask > 0 for _, mask in drawn]))
