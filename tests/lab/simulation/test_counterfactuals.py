from dataclasses import replace

import numpy as np
import pytest

from mcdrl_lab.simulation.counterfactuals import (
    MASK_CHANGING,
    draw_pictures,
    scene_pair,
)
from mcdrl_lab.simulation.drawing import draw
from mcdrl_lab.simulation.scene import CONFOUNDERS, do


@pytest.fixture(scope='module')
def scene(plain_scenes):
    return next(do(s, blood=0.7, dark=0.6) for s in plain_scenes if s.lesion)


@pytest.mark.parametrize('name', CONFOUNDERS)
def test_a_pair_differs_only_in_the_confounder(scene, name):
    absent, present = scene_pair(scene, name)
    assert getattr(absent.confounders, name) == 0
    assert getattr(present.confounders, name) == 1
    rest = replace(scene, confounders=do(scene, **{name: 0.0}).confounders)
    if name == 'bright':
        rest = do(rest, dark=0.0)
    assert absent == rest
    assert do(present, **{name: 0.0}) == rest


@pytest.mark.parametrize('name', CONFOUNDERS)
def test_only_near_and_far_change_the_mask(scene, name):
    absent, present = (draw_pictures([s], 64) for s in scene_pair(scene, name))
    assert np.any(absent.images != present.images)
    assert np.array_equal(absent.masks, present.masks) == (name not in MASK_CHANGING)


def test_pictures_are_blue_first_and_masks_binary(plain_scenes):
    pictures = draw_pictures(plain_scenes[:2], 64)
    assert pictures.images.shape == (2, 64, 64, 3)
    for number, scene in enumerate(plain_scenes[:2]):
        image, mask = draw(scene, size=64)
        assert np.array_equal(pictures.images[number], image[..., ::-1])
        assert np.array_equal(pictures.masks[number], mask > 0)
