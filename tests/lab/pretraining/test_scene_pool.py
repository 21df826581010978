"""Pools of scenes: drawn once, complete, and separate from every benchmark."""

import numpy as np
import pytest

from mcdrl_lab.pretraining.captions import HEALTHY
from mcdrl_lab.pretraining.scene_pool import PoolSettings, draw_pool, open_pool
from mcdrl_lab.simulation.drawing import draw
from mcdrl_lab.simulation.hospitals import SITES, Conditions
from mcdrl_lab.simulation.sampling import sample_scene
from mcdrl_lab.simulation.scene import LESION_CLASSES

SETTINGS = PoolSettings(count=6, size=32, seed=5)


@pytest.fixture(scope='module')
def pool():
    return draw_pool(SETTINGS)


def test_arrays_hold_the_drawn_scenes_and_their_labels(pool):
    for number in range(SETTINGS.count):
        scene = sample_scene(5, number)
        image, mask = draw(scene, size=32)
        np.testing.assert_array_equal(pool.images[number], image)
        np.testing.assert_array_equal(pool.masks[number], mask > 0)
        name = None if scene.lesion is None else scene.lesion.name
        lesion = HEALTHY if name is None else LESION_CLASSES.index(name)
        assert pool.lesions[number] == lesion
        there = [strength > 0 for _, strength in scene.confounders.items()]
        assert pool.conditions[number].tolist() == there


def test_a_benchmark_with_the_same_seed_shares_no_scene_with_the_pool():
    for number in range(20):
        own = sample_scene(5, number)
        for site in SITES:
            assert sample_scene(5, number, Conditions(site, 0.0)) != own


def test_a_saved_pool_is_opened_and_not_drawn_twice(pool, tmp_path):
    calls = []
    opened = open_pool(SETTINGS, tmp_path, 1, lambda *now: calls.append(now))
    again = open_pool(SETTINGS, tmp_path, 1, lambda *now: calls.append(now))
    assert calls == [(6, 6)]
    for found in (opened, again):
        for name in ('images', 'masks', 'lesions', 'conditions'):
            np.testing.assert_array_equal(getattr(found, name), getattr(pool, name))


def test_an_unfinished_pool_is_drawn_again(tmp_path):
    open_pool(SETTINGS, tmp_path)
    (tmp_path / 'pool.json').unlink()
    (tmp_path / 'images.npy').write_bytes(b'half a file')
    assert open_pool(SETTINGS, tmp_path).images.shape == (6, 32, 32, 3)


def test_a_pool_with_other_settings_is_drawn_separately(tmp_path):
    open_pool(SETTINGS, tmp_path)
    other = open_pool(PoolSettings(count=4, size=32, seed=6), tmp_path)
    assert len(other.images) == 4


def test_several_processes_draw_the_same_pool(pool, tmp_path):
    found = open_pool(SETTINGS, tmp_path, processes=2)
    np.testing.assert_array_equal(found.images, pool.images)
    np.testing.assert_array_equal(found.conditions, pool.conditions)
