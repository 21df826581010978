"""What each confounder changes in images, on average over scenes, and what it keeps."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mcdrl_lab.simulation.drawing import draw
from mcdrl_lab.simulation.light import technique
from mcdrl_lab.simulation.scene import CONFOUNDERS, Confounders, do

DISTANCE = ('near', 'far')


@pytest.fixture(scope='module')
def scenes(plain_scenes):
    return [replace(scene, frame='full') for scene in plain_scenes[:16]]


def changes(scenes, measure, name, strength=0.8):
    """A measure under do(name=strength) minus that without it, for each scene."""
    return np.array(
        [
            measure(draw(do(scene, **{name: strength}))[0].astype(float), scene)
            - measure(draw(scene)[0].astype(float), scene)
            for scene in scenes
        ]
    )


def mean_level(image, scene):
    return image.mean()


def sharpness(image, scene):
    grey = cv2.cvtColor(image.astype(np.uint8), cv2.COLOR_RGB2GRAY)
    return cv2.Laplacian(grey.astype(float), cv2.CV_64F).var()


def redness(image, scene):
    """Share of red in all light."""
    return image[..., 0].sum() / image.sum()


def blueness(image, scene):
    return image[..., 2].sum() / image.sum()


def row_steps(image, scene):
    """How much odd rows differ from their neighbours."""
    between = (image[:-2:2] + image[2::2]) / 2
    return np.abs(image[1:-1:2] - between).mean()


def lit_side(image, scene):
    """Brightness of the half towards the direction of uneven light over the other."""
    steps = (np.arange(image.shape[0]) + 0.5) / image.shape[0] - 0.5
    side = (
        np.cos(scene.direction) * steps[None] + np.sin(scene.direction) * steps[:, None]
    )
    return image[side > 0].mean() / image[side < 0].mean()


def white_share(image, scene):
    return (image.min(axis=2) > 215).mean()


def blood_share(image, scene):
    red, green = image[..., 0], image[..., 1]
    return (green < 0.35 * red).mean()


@pytest.mark.parametrize('name', CONFOUNDERS)
def test_at_strength_0_the_image_stays_unchanged(scenes, name):
    for scene in scenes[:4]:
        busy = do(scene, blood=0.6, uneven=0.5)
        before, after = draw(do(busy, **{name: 0.0})), draw(do(busy, **{name: 1e-4}))
        difference = np.abs(before[0].astype(int) - after[0])
        assert difference.mean() < 0.5, 'a small strength must do little'
        assert np.array_equal(draw(do(scene, **{name: 0.0}))[0], draw(scene)[0])


@pytest.mark.parametrize('name', CONFOUNDERS)
def test_a_confounder_is_visible_in_every_scene(scenes, name):
    for scene in scenes:
        difference = draw(do(scene, **{name: 0.8}))[0].astype(int) - draw(scene)[0]
        assert (np.abs(difference).max(axis=2) > 8).mean() > 0.015


@pytest.mark.parametrize('name', CONFOUNDERS)
def test_a_confounder_changes_the_image_more_the_stronger_it_is(scenes, name):
    def change(strength):
        return np.mean(
            [
                np.abs(draw(do(s, **{name: strength}))[0].astype(int) - draw(s)[0])
                for s in scenes
            ]
        )

    small, middle, large = change(0.3), change(0.6), change(1.0)
    assert 0 < small < middle < large


@pytest.mark.parametrize('name', [n for n in CONFOUNDERS if n not in DISTANCE])
def test_a_confounder_other_than_distance_never_changes_the_mask(plain_scenes, name):
    for scene in plain_scenes:
        for strength in (0.5, 1.0):
            changed = draw(do(scene, **{name: strength}))[1]
            assert np.array_equal(changed, draw(scene)[1])


@pytest.mark.parametrize(('name', 'scale'), [('near', 1.8), ('far', 1 / 1.8)])
def test_distance_scales_the_mask_around_the_focus(scenes, name, scale):
    for scene in scenes:
        if scene.lesion is None:
            continue
        before, after = (
            draw(s, size=256)[1] for s in (scene, do(scene, **{name: 1.0}))
        )
        assert set(np.unique(after)) == set(np.unique(before))
        matrix = np.array(
            [
                [scale, 0, (1 - scale) * (256 * scene.focus_x - 0.5)],
                [0, scale, (1 - scale) * (256 * scene.focus_y - 0.5)],
            ]
        )
        expected = cv2.warpAffine(before, matrix, (256, 256), flags=cv2.INTER_NEAREST)
        overlap = ((expected > 0) & (after > 0)).sum()
        assert 2 * overlap / ((expected > 0).sum() + (after > 0).sum()) > 0.94


def test_dark_lowers_and_bright_raises_the_mean_brightness(scenes):
    assert (changes(scenes, mean_level, 'dark') < -30).all()
    assert (changes(scenes, mean_level, 'bright') > 30).all()


def test_blur_lowers_the_variance_of_the_laplacian(scenes):
    relative = changes(scenes, sharpness, 'blur') / [
        sharpness(draw(s)[0].astype(float), s) for s in scenes
    ]
    assert np.mean(relative) < -0.3
    assert (relative < 0).all()


def test_artifacts_make_neighbouring_rows_differ(scenes):
    assert (changes(scenes, row_steps, 'artifacts') > 0.5).all()


def test_uneven_light_comes_from_its_direction(scenes):
    assert (changes(scenes, lit_side, 'uneven') > 0.5).all()


def test_narrow_band_imaging_removes_red_and_white_light_adds_it(scenes):
    assert (changes(scenes, redness, 'nbi') < -0.07).all()
    assert (changes(scenes, redness, 'white_light') > 0.03).all()
    assert (changes(scenes, blueness, 'white_light') < -0.03).all()


def test_narrow_band_imaging_shows_green_light_as_red_and_blue_light_as_blue(scenes):
    scene = do(scenes[0], nbi=1.0)
    green, blue = np.zeros((2, 3, 1, 1), np.float32)
    green[1] = blue[2] = 1
    shown = technique(scene, green)[0, 0], technique(scene, blue)[0, 0]
    assert shown[0][0] > shown[0][1] > shown[0][2] > 0
    assert shown[1][2] > shown[1][1] > shown[1][0]


def test_far_darkens_the_edge_of_the_image_more_than_its_middle(scenes):
    def edge(image, scene):
        rim = np.concatenate([image[:8], image[-8:]]).mean()
        return rim / image[48:80, 48:80].mean()

    assert np.mean(changes(scenes, edge, 'far')) < -0.1


@pytest.mark.parametrize('name', ['mucus', 'blood', 'reflection'])
def test_surface_confounders_gather_at_their_place(scenes, name):
    steps = (np.arange(128) + 0.5) / 128
    at_place, away = [], []
    for scene in scenes:
        before = draw(scene)[0].astype(int)
        change = np.abs(draw(do(scene, **{name: 0.7}))[0] - before).max(axis=2) > 20
        place = scene.placements[name]
        distance = np.hypot(steps[None] - place.x, steps[:, None] - place.y)
        at_place.append(change[distance < 0.2].mean())
        away.append(change[distance > 0.4].mean())
    assert np.mean(at_place) > 0.2
    assert np.mean(at_place) > 3 * np.mean(away)


def test_blood_is_dark_red_reflection_white_and_mucus_pale(scenes):
    assert np.mean(changes(scenes, blood_share, 'blood')) > 0.03
    assert np.mean(changes(scenes, white_share, 'reflection')) > 0.01
    assert np.mean(changes(scenes, redness, 'mucus')) < -0.003
    assert abs(np.mean(changes(scenes, blood_share, 'mucus'))) < 0.01


def test_blood_turns_dark_under_narrow_band_imaging(scenes):
    for scene in scenes:
        bloody = do(scene, blood=1.0)
        image = draw(bloody)[0].astype(float)
        narrow = draw(do(bloody, nbi=1.0))[0].astype(float)
        blood = (image[..., 1] < 0.3 * image[..., 0]) & (image[..., 0] > 60)
        assert blood.sum() > 50
        assert narrow[blood].mean() < 0.6 * narrow[~blood].mean()


def test_all_confounders_can_be_drawn_together(scenes):
    every = Confounders(**dict.fromkeys(CONFOUNDERS, 0.5))
    image, mask = draw(scenes[0], every)
    assert image.any()
    assert np.array_equal(mask, draw(scenes[0])[1]), 'near and far cancel'
