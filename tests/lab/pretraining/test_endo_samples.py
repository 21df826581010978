"""Training images: what is known about one follows from how it was made."""

import dataclasses

import numpy as np
import pytest

from mcdrl_lab.pretraining import endo_samples
from mcdrl_lab.pretraining.endo_pack import TRAIN, PackImage, load_pack
from mcdrl_lab.pretraining.endo_samples import (
    MIXTURE,
    UNKNOWN,
    draw_sample,
    healthy_window,
    known_conditions,
    known_lesion,
)
from mcdrl_lab.pretraining.endo_words import NORMAL, POLYP
from mcdrl_lab.simulation.drawn_conditions import (
    BLOOD,
    BLUR,
    BRIGHT,
    DARK,
    NARROW_BAND,
    NEAR,
    REFLECTION,
    WHITE_LIGHT,
)

ENTRY = PackImage('a.jpg', 'cp_child', 'polyp', 'g', TRAIN, '', 120.0, 0.0)


def entry(**changes) -> PackImage:
    return dataclasses.replace(ENTRY, **changes)


@pytest.fixture(scope='module')
def pack(endo_pack_root):
    return load_pack(endo_pack_root, TRAIN)


def test_a_mask_decides_whether_an_image_shows_a_lesion():
    mask = np.zeros((20, 20), np.uint8)
    assert known_lesion(ENTRY, mask, {}) == NORMAL
    mask[0, 0] = 1  # A corner of a lesion is neither.
    assert known_lesion(ENTRY, mask, {}) == UNKNOWN
    mask[:5] = 1
    assert known_lesion(ENTRY, mask, {}) == POLYP


def test_without_a_mask_the_label_counts_unless_the_lesion_may_be_out_of_view():
    assert known_lesion(ENTRY, None, {}) == POLYP
    assert known_lesion(ENTRY, None, {NEAR: 0.9}) == UNKNOWN
    assert known_lesion(ENTRY, None, {NEAR: 0.3}) == POLYP
    assert known_lesion(entry(label='bleeding'), None, {}) == UNKNOWN


def test_drawn_conditions_are_present_with_their_strength():
    present, strength = known_conditions(ENTRY, {BLUR: 0.4})
    assert present[BLUR] == 1 and strength[BLUR] == np.float32(0.4)
    assert present[[DARK, BRIGHT, REFLECTION, BLOOD]].tolist() == [0, 0, 0, 0]


def test_white_light_is_present_unless_narrow_band_is_drawn():
    assert known_conditions(ENTRY, {})[0][WHITE_LIGHT] == 1
    assert known_conditions(ENTRY, {NARROW_BAND: 0.5})[0][WHITE_LIGHT] == 0


def test_real_bleeding_has_blood_of_unknown_strength_even_under_drawn_blood():
    for strengths in ({}, {BLOOD: 0.5}):
        present, strength = known_conditions(entry(label='bleeding'), strengths)
        assert present[BLOOD] == 1 and np.isnan(strength[BLOOD])


@pytest.mark.parametrize(
    ('changes', 'number'),
    [
        ({'luminance': 60.0}, DARK),
        ({'luminance': 200.0}, BRIGHT),
        ({'specular': 0.1}, REFLECTION),
    ],
)
def test_a_condition_that_may_occur_naturally_is_unknown_until_it_is_drawn(
    changes, number
):
    assert known_conditions(entry(**changes), {})[0][number] == UNKNOWN
    assert known_conditions(entry(**changes), {number: 0.5})[0][number] == 1


def test_samples_of_all_kinds_have_the_given_size_and_are_reproducible_by_seed(pack):
    for kind in MIXTURE:
        row = int(pack.rows_of(kind)[0])
        samples = [
            draw_sample(np.random.default_rng(seed), pack, row, 32)
            for seed in (0, 1, 2, 0)
        ]
        assert all(s.image.shape == (32, 32, 3) for s in samples)
        assert np.array_equal(samples[0].image, samples[3].image)
        assert not np.array_equal(samples[0].image, samples[1].image)
        for sample in samples:
            if sample.mask is not None:
                assert sample.mask.shape == (32, 32)
                assert (sample.lesion == NORMAL) == (not sample.mask.any())
            else:
                assert sample.lesion != NORMAL


def test_lesions_are_pasted_into_healthy_images_with_their_mask(pack):
    row = int(pack.rows_of('cp_child/normal mucosa')[0])
    image = pack.images[row]
    empty = np.zeros(image.shape[:2], np.uint8)
    lesions = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        pasted, mask = endo_samples._paste(generator, pack, image, empty)
        changed = np.abs(pasted.astype(int) - image).sum(axis=2) > 0
        assert changed.any()
        lesions += bool(mask.any())
    # Healthy tissue in the shape of a lesion is pasted too, and is not a lesion.
    assert 6 <= lesions <= 18
    assert not empty.any()


def test_a_healthy_window_shows_tissue_and_no_lesion():
    image = np.full((100, 100, 3), 150, np.uint8)
    mask = np.zeros((100, 100), np.uint8)
    mask[:, :40] = 1
    for seed in range(10):
        window = healthy_window(np.random.default_rng(seed), image, mask)
        if window is not None:
            assert not mask[window].any()
    assert healthy_window(np.random.default_rng(0), image, mask * 0 + 1) is None
    assert healthy_window(np.random.default_rng(0), image * 0, mask * 0) is None
