"""Drawn conditions change an image as their names say, and more with more strength."""

import cv2
import numpy as np
import pytest

from mcdrl_lab.simulation.drawn_conditions import (
    ARTIFACTS,
    BLOOD,
    BLUR,
    BRIGHT,
    CONDITIONS,
    DARK,
    DRAWN,
    EXCLUDING,
    FAR,
    MUCUS,
    NARROW_BAND,
    NEAR,
    REFLECTION,
    UNEVEN,
    draw_conditions,
    draw_strengths,
)
from mcdrl_mmseg.prompts import PromptSet


@pytest.fixture(scope='module')
def tissue() -> np.ndarray:
    """A pinkish picture with fine texture."""
    generator = np.random.default_rng(0)
    texture = generator.normal(0, 12, (128, 128, 1))
    colour = np.array([170, 105, 85]) + texture
    return np.clip(colour, 20, 230).astype(np.uint8)


def drawn(image, number, strength, seed=1):
    generator = np.random.default_rng(seed)
    return draw_conditions(generator, image, None, {number: strength})[0]


def sharpness(image) -> float:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


MEASURES = {
    BLUR: lambda image: -sharpness(image),
    BRIGHT: lambda image: image.mean(),
    DARK: lambda image: -image.mean(),
    UNEVEN: lambda image: cv2.blur(image[..., 1], (16, 16)).std(),
    NARROW_BAND: lambda image: -(image[..., 0] / image[..., 2].clip(1)).mean(),
    MUCUS: lambda image: image[..., 2].mean(),
    BLOOD: lambda image: (image[..., 1] < 40).mean(),
    REFLECTION: lambda image: (image.min(axis=2) > 235).mean(),
}


@pytest.mark.parametrize('number', MEASURES, ids=lambda n: CONDITIONS[n])
def test_a_condition_is_visible_and_grows_with_its_strength(tissue, number):
    measure = MEASURES[number]
    values = [measure(drawn(tissue, number, strength)) for strength in (0.25, 1)]
    assert measure(tissue) < values[0] < values[1]


def test_artifacts_change_the_picture_more_with_more_strength(tissue):
    def change(strength):
        images = [drawn(tissue, ARTIFACTS, strength, seed) for seed in range(8)]
        return np.mean([np.abs(i.astype(int) - tissue).mean() for i in images])

    assert 0 < change(0.25) < change(1)


@pytest.mark.parametrize(('number', 'grows'), [(NEAR, True), (FAR, False)])
def test_distance_scales_mask_and_image_alike(number, grows):
    mask = np.zeros((128, 128), np.uint8)
    mask[48:80, 48:80] = 1
    image = np.repeat(mask[..., None] * 150 + 60, 3, axis=2).astype(np.uint8)
    generator = np.random.default_rng(0)
    moved, moved_mask = draw_conditions(generator, image, mask, {number: 0.5})
    # Seen from afar a lesion's picture recurs at the mirrored border.
    middle = moved_mask[32:96, 32:96] if number == FAR else moved_mask
    assert (middle.sum() > mask.sum()) == grows
    bright = moved[..., 0] > moved[..., 0].mean()
    assert (bright == moved_mask.astype(bool)).mean() > 0.97


def test_nothing_is_drawn_outside_the_field_of_view():
    image = np.zeros((96, 96, 3), np.uint8)
    for number in (BRIGHT, MUCUS, BLOOD, REFLECTION):
        assert drawn(image, number, 1.0).max() == 0, CONDITIONS[number]


def test_drawing_keeps_size_and_dtype_and_does_not_change_the_input(tissue):
    before = tissue.copy()
    for number in DRAWN:
        out = drawn(tissue, number, 0.7)
        assert out.shape == tissue.shape and out.dtype == np.uint8
        assert np.array_equal(out, drawn(tissue, number, 0.7)), 'the same seed'
    assert np.array_equal(tissue, before)


@pytest.mark.parametrize(
    ('strengths', 'words'),
    [
        ({BLUR: 0.0}, 'blur: strength 0'),
        ({BLUR: 1.5}, 'blur: strength 1.5'),
        ({BRIGHT: 0.5, DARK: 0.5}, 'bright lighting and dark lighting exclude'),
        ({NEAR: 0.5, FAR: 0.5}, 'near distance and far distance exclude'),
    ],
)
def test_impossible_conditions_are_errors(tissue, strengths, words):
    with pytest.raises(ValueError, match=words):
        draw_conditions(np.random.default_rng(0), tissue, None, strengths)


def test_drawn_conditions_never_exclude_each_other():
    generator = np.random.default_rng(0)
    sets = [draw_strengths(generator) for _ in range(400)]
    assert max(map(len, sets)) == 3
    assert 0.2 < sum(not s for s in sets) / len(sets) < 0.55
    assert not any(set(pair) <= set(s) for s in sets for pair in EXCLUDING)
    values = [v for s in sets for v in s.values()]
    assert 0.25 <= min(values) < 0.3 and 0.95 < max(values) <= 1


def test_condition_names_are_those_of_the_shipped_prompts(repo_root):
    from mmengine.config import Config

    path = repo_root / 'configs/_base_/prompts/endoscopy.py'
    prompts = PromptSet.from_cfg(Config.fromfile(path).prompts)
    assert prompts.confounder_names == CONDITIONS
