import hashlib
import json
from dataclasses import asdict, astuple, replace

import numpy as np
import pytest

from mcdrl_lab.simulation.camera import in_frame
from mcdrl_lab.simulation.drawing import draw
from mcdrl_lab.simulation.hospitals import LESION_RATES, SITES, Conditions
from mcdrl_lab.simulation.sampling import sample_scene
from mcdrl_lab.simulation.scene import (
    EXCLUSIVE,
    LESION_CLASSES,
    SURFACE_CONFOUNDERS,
    Confounders,
    SceneError,
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


def fingerprint(scenes):
    """Digest of all variables of some scenes, without their last digits."""
    text = json.dumps([asdict(scene) for scene in scenes])
    numbers = json.loads(text, parse_float=lambda digits: round(float(digits), 9))
    return hashlib.sha256(json.dumps(numbers).encode()).hexdigest()


def test_scenes_of_existing_data_sets_stay_the_same():
    """Records name images only by number; the digest is that of the first release."""
    scenes = [sample_scene(3, index) for index in range(20)]
    conditions = Conditions('endosim_b', 0.7)
    scenes += [sample_scene(5, index, conditions) for index in range(20)]
    assert fingerprint(scenes) == (
        '714882faae548709aea0ba9a38786f9686b546727279d4239a7421e9a1154569'
    )


def test_seeds_indices_and_sites_give_different_scenes():
    scenes = [sample_scene(s, k) for s in range(3) for k in range(3)]
    scenes += [sample_scene(0, 0, Conditions(site)) for site in SITES]
    assert len({astuple(scene.anatomy) for scene in scenes}) == len(scenes)


def test_the_shift_changes_confounders_but_not_anatomy_and_lesion():
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


def test_surface_confounders_on_a_lesion_are_near_its_middle_and_others_are_not(
    shifted,
):
    for scene in shifted['endosim_a'][:500]:
        for name in SURFACE_CONFOUNDERS:
            place = scene.placements[name]
            away = np.hypot(place.x - scene.focus_x, place.y - scene.focus_y)
            assert 0.04 <= away <= 0.12 if place.on_lesion else 0.27 <= away <= 0.36
            assert 0 < place.x < 1 and 0 < place.y < 1
            assert scene.lesion is not None or not place.on_lesion


@pytest.fixture(scope='module')
def scattered():
    conditions = Conditions('endosim_b', 1.0)
    return [sample_scene(5, k, conditions, 'anywhere') for k in range(COUNT)]


def test_lesions_anywhere_are_the_same_ones_at_other_places(scattered, shifted):
    moved = 0
    for scene, central in zip(scattered, shifted['endosim_b']):
        assert 0.35 <= central.focus_x <= 0.65 and 0.35 <= central.focus_y <= 0.65
        # The lumen goes with the focus, and surface confounders lie near it.
        lumen = replace(
            scene.anatomy,
            lumen_x=central.anatomy.lumen_x,
            lumen_y=central.anatomy.lumen_y,
        )
        focus = dict(focus_x=central.focus_x, focus_y=central.focus_y)
        placements = dict(placements=central.placements)
        assert replace(scene, anatomy=lumen, **focus, **placements) == central
        for name in SURFACE_CONFOUNDERS:
            there, before = scene.placements[name], central.placements[name]
            assert there.on_lesion == before.on_lesion
        moved += abs(scene.focus_x - 0.5) > 0.15 or abs(scene.focus_y - 0.5) > 0.15
    assert moved > COUNT / 2


def test_lesions_anywhere_are_spread_evenly_over_the_field_of_view(scattered):
    places = np.array([(s.focus_x - 0.5, s.focus_y - 0.5) for s in scattered])
    frames = np.array([s.frame for s in scattered])
    full, circle = places[frames == 'full'], places[frames == 'circle']
    # A square of side 0.9: all quarters are equally likely, and so are all ninths.
    assert np.abs(full).max() <= 0.45
    for sign_x in (-1, 1):
        for sign_y in (-1, 1):
            inside = (sign_x * full[:, 0] > 0) & (sign_y * full[:, 1] > 0)
            assert within(inside.mean(), 1 / 4, len(full))
    assert within((np.abs(full) < 0.15).all(axis=1).mean(), 1 / 9, len(full))
    # A disc of radius 0.45: half of it lies within 0.45 / sqrt(2).
    distances = np.hypot(*circle.T)
    assert distances.max() < 0.45
    assert within((distances < 0.45 / np.sqrt(2)).mean(), 1 / 2, len(circle))
    octagon = np.abs(places[frames == 'octagon'])
    assert octagon.sum(axis=1).max() < 0.9 * 0.8


def test_the_place_of_the_focus_is_independent_of_the_lesion(scattered):
    far = np.array(
        [np.hypot(s.focus_x - 0.5, s.focus_y - 0.5) > 0.3 for s in scattered]
    )
    lesion = np.array([s.lesion is not None for s in scattered])
    assert within(far[lesion].mean(), far.mean(), lesion.sum())
    assert within(far[~lesion].mean(), far.mean(), (~lesion).sum())


def test_surface_confounders_beside_a_lesion_stay_in_the_field_of_view(scattered):
    for scene in scattered:
        for name in SURFACE_CONFOUNDERS:
            place = scene.placements[name]
            away = np.hypot(place.x - scene.focus_x, place.y - scene.focus_y)
            if place.on_lesion:
                assert 0.04 <= away <= 0.12 + 1e-9
            else:
                assert 0.27 - 1e-9 <= away <= 0.36 + 1e-9
                assert in_frame(scene.frame, abs(place.x - 0.5), abs(place.y - 0.5))


def test_every_lesion_is_visible_wherever_it_lies(scattered):
    shares = []
    for scene in scattered[:400]:
        mask = draw(scene, size=48)[1]
        if scene.lesion is None:
            assert not mask.any()
            continue
        shares.append((mask > 0).mean())
    # Far away and half hidden by the border, a nodule still has some pixels.
    assert len(shares) > 250 and min(shares) > 5 / 48**2


def test_an_unknown_value_of_lesion_places_is_refused():
    with pytest.raises(SceneError, match=r'lesion_places=.*central.*anywhere'):
        sample_scene(0, 0, lesion_places='everywhere')


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


def test_confounders_are_associated_with_lesions_only_with_a_shift():
    def association(scenes, name):
        there = np.array([getattr(s.confounders, name) > 0 for s in scenes])
        lesion = np.array([s.lesion is not None for s in scenes])
        return there[lesion].mean() - there[~lesion].mean()

    independent = sample('endosim_a', 0.0)
    assert abs(association(independent, 'nbi')) < 0.1
    assert association(sample('endosim_a', 1.0), 'nbi') > 0.6
    assert association(sample('endosim_c', 1.0), 'nbi') < -0.1


def test_exclusive_confounders_never_occur_together(shifted):
    for scenes in shifted.values():
        for first, second in EXCLUSIVE:
            both = [
                getattr(s.confounders, first) and getattr(s.confounders, second)
                for s in scenes
            ]
            assert not any(both)


def test_strengths_of_present_confounders_are_between_0_5_and_1(shifted):
    strengths = [
        s
        for scene in shifted['endosim_d']
        for _, s in scene.confounders.items()
        if s > 0
    ]
    assert 0.5 <= min(strengths) < 0.51 and 0.99 < max(strengths) <= 1
    assert np.mean(strengths) == pytest.approx(0.75, abs=0.01)


def test_strengths_are_plain_floats():
    scene = sample_scene(0, 3)
    assert all(type(s) is float for _, s in scene.confounders.items())
    assert isinstance(scene.confounders, Confounders)
