from dataclasses import astuple, replace

import numpy as np
import pytest

from mcdrl_lab.simulation.hospitals import LESION_RATES, SITES, Conditions
from mcdrl_lab.simulation.sampling import sample_scene
from mcdrl_lab.simulation.scene import (
    EXCLUSIVE,
    LESION_CLASSES,
    SURFACE_CONFOUNDERS,
    Confounders,
)

COUNT = 2000


def sample(site, spurious, count=COUNT, seed=5):
    conditions = Conditions(site, spurious)
    return [sample_scene(seed, index, conditions) for index in range(count)]


@pytest.fixture(scope='module')
def shifted():
    return {site: sample(site, 1.0) for site in SITES}


def within(share, rate, count):
    """Whether a share of a sample is within 4.5 standard errors of its rate."""
    return abs(share - rate) <= 4.5 * np.sqrt(rate * (1 - rate) / count) + 1e-9


def test_a_scene_follows_from_seed_and_index_in_any_order():
    forth = [sample_scene(1, k) for k in range(6)]
    back = [sample_scene(1, k) for k in reversed(range(6))]
    assert forth == back[::-1]


def test_seeds_indices_and_sites_give_different_scenes():
    scenes = [sample_scene(s, k) for s in range(3) for k in range(3)]
    scenes += [sample_scene(0, 0, Conditions(site)) for site in SITES]
    assert len({astuple(scene.anatomy) for scene in scenes}) == len(scenes)


def test_the_shift_changes_confounders_and_leaves_anatomy_and_lesion():
    changed = 0
    for index in range(40):
        none, full = (
            sample_scene(2, index, Conditions('endosim_b', s)) for s in (0.0, 1.0)
        )
        changed += none.confounders != full.confounders
        same = replace(full, confounders=none.confounders, placements=none.placements)
        assert same == none
    assert changed > 20


def test_lesion_classes_are_as_frequent_as_specified_at_every_site(shifted):
    for scenes in shifted.values():
        names = [s.lesion and s.lesion.name for s in scenes]
        for name, rate in LESION_RATES.items():
            assert within(names.count(name) / COUNT, rate, COUNT)


@pytest.mark.parametrize('site', SITES)
def test_confounders_are_as_frequent_as_specified(shifted, site):
    conditions = Conditions(site, 1.0)
    for lesion in (None, *LESION_CLASSES):
        scenes = [s for s in shifted[site] if (s.lesion and s.lesion.name) == lesion]
        for name, rate in conditions.rates(lesion).items():
            there = [getattr(s.confounders, name) > 0 for s in scenes]
            assert within(np.mean(there), rate, len(there)), (lesion, name)


@pytest.mark.parametrize('site', SITES)
def test_surface_confounders_lie_on_the_lesion_as_often_as_specified(shifted, site):
    scenes = [s for s in shifted[site] if s.lesion is not None]
    for name, rate in Conditions(site, 1.0).on_lesion().items():
        on = [s.placements[name].on_lesion for s in scenes]
        assert within(np.mean(on), rate, len(on)), name


def test_what_lies_on_the_lesion_is_near_its_middle_and_the_rest_is_not(shifted):
    for scene in shifted['endosim_a'][:500]:
        for name in SURFACE_CONFOUNDERS:
            place = scene.placements[name]
            away = np.hypot(place.x - scene.focus_x, place.y - scene.focus_y)
            assert 0.04 <= away <= 0.12 if place.on_lesion else 0.27 <= away <= 0.36
            assert 0 < place.x < 1 and 0 < place.y < 1
            assert scene.lesion is not None or not place.on_lesion


def test_without_shift_sites_are_alike_in_all_variables():
    """Same variables, other random numbers: means agree within sampling error."""
    tables = {}
    for site in SITES:
        tables[site] = np.array(
            [
                [
                    *(s > 0 for _, s in scene.confounders.items()),
                    *(s for _, s in scene.confounders.items()),
                    *astuple(scene.anatomy),
                    *(scene.placements[n].on_lesion for n in SURFACE_CONFOUNDERS),
                    *((scene.lesion and scene.lesion.name) == k for k in LESION_RATES),
                    *(_product(scene, name) for name in ('nbi', 'blood', 'blur')),
                    scene.focus_x,
                    scene.direction,
                ]
                for scene in sample(site, 0.0, count=1000)
            ],
            dtype=float,
        )
    whole = np.concatenate(list(tables.values()))
    error = whole.std(axis=0) * np.sqrt(1 / 1000)
    for table in tables.values():
        assert (np.abs(table.mean(axis=0) - whole.mean(axis=0)) <= 4 * error).all()


def _product(scene, name):
    """Large where a confounder and a lesion go together."""
    return (getattr(scene.confounders, name) > 0) * (scene.lesion is not None)


def test_without_shift_confounders_do_not_tell_of_lesions_and_at_full_shift_they_do():
    def association(scenes, name):
        there = np.array([getattr(s.confounders, name) > 0 for s in scenes])
        lesion = np.array([s.lesion is not None for s in scenes])
        return there[lesion].mean() - there[~lesion].mean()

    independent = sample('endosim_a', 0.0)
    assert abs(association(independent, 'nbi')) < 0.1
    assert association(sample('endosim_a', 1.0), 'nbi') > 0.6
    assert association(sample('endosim_c', 1.0), 'nbi') < -0.1


def test_exclusive_confounders_are_never_both_there(shifted):
    for scenes in shifted.values():
        for first, second in EXCLUSIVE:
            both = [
                getattr(s.confounders, first) and getattr(s.confounders, second)
                for s in scenes
            ]
            assert not any(both)


def test_a_confounder_that_is_there_is_there_to_be_seen(shifted):
    strengths = [
        s
        for scene in shifted['endosim_d']
        for _, s in scene.confounders.items()
        if s > 0
    ]
    assert 0.5 <= min(strengths) < 0.51 and 0.99 < max(strengths) <= 1
    assert np.mean(strengths) == pytest.approx(0.75, abs=0.01)


def test_confounders_are_given_as_plain_numbers():
    scene = sample_scene(0, 3)
    assert all(type(s) is float for _, s in scene.confounders.items())
    assert isinstance(scene.confounders, Confounders)
