"""From a scene's variables to an image and a mask."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from . import camera, light
from .lesions import draw_lesion
from .scene import LESION_CLASSES, Confounders, Scene
from .surface_confounders import highlights, put_blood, put_mucus
from .tissue import draw_tissue
from .view import View


def draw(
    scene: Scene, confounders: Confounders | None = None, size: int = 128
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a scene.

    Args:
        scene: The scene.
        confounders: Conditions to use in place of the scene's own.
        size: Height and width in pixels.

    Returns:
        (size, size, 3) uint8 image, red first, and (size, size) uint8 mask with the
        values of ``MASK_VALUES``.
    """
    if confounders is not None:
        scene = replace(scene, confounders=confounders)
    view = View(scene, size)
    tissue = draw_tissue(scene, view)
    inside = draw_lesion(scene, view, tissue)
    # Mucus and blood cover the same part of the image at any distance.
    surface = View(scene, size, moved=False)
    put_mucus(scene, surface, tissue)
    put_blood(scene, surface, tissue)
    brightness, facing = light.shading(scene, view, tissue.height)
    arriving = tissue.light * light.lamp(scene, view)
    image = tissue.colour * (arriving * brightness)
    # Light in dark regions was reflected several times by red tissue: reduce green and
    # blue.
    image[1:] *= np.minimum(0.78 + 0.26 * arriving, 1)
    shine = highlights(scene, surface, facing, tissue.light)
    if shine is not None:
        image += shine * (1.15 - image)
    picture = light.technique(scene, image)
    light.expose(scene, picture)
    picture = camera.artifacts(scene, camera.blur(scene, picture))
    camera.add_noise(scene, view, picture)
    mask = np.zeros((size, size), np.uint8)
    if scene.lesion is not None:
        mask[inside] = LESION_CLASSES.index(scene.lesion.name) + 1
    seen = camera.frame(scene, view)
    if seen is not None:
        picture[~seen] = 0
        mask[~seen] = 0
    return cv2.convertScaleAbs(np.maximum(picture, 0), alpha=255), mask
