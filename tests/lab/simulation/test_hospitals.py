import pytest

from mcdrl_lab.simulation.hospitals import (
    HOME,
    LESION_RATES,
    SHARED_RATES,
    SITES,
    Conditions,
    pairing_of,
)
from mcdrl_lab.simulation.scene import (
    CONFOUNDERS,
    EXCLUSIVE,
    LESION_CLASSES,
    SURFACE_CONFOUNDERS,
    SceneError,
)

LESIONS = (None, *LESION_CLASSES)


def test_lesion_rates_sum_to_one():
    assert sum(LESION_RATES.values()) == pytest.approx(1)


@pytest.mark.parametrize('lesion', LESIONS)
def test_without_shift_every_site_has_the_shared_rates(lesion):
    for site in (None, *SITES):
        conditions = Conditions(site, 0.0)
        assert conditions.rates(lesion) == pytest.approx(SHARED_RATES)
        assert set(conditions.on_lesion().values()) == {0.5}


def test_without_a_site_nothing_is_shifted():
    assert Conditions(None, 1.0).rates('polyp') == SHARED_RATES
    assert set(Conditions(None, 1.0).on_lesion().values()) == {0.5}


@pytest.mark.parametrize('site', SITES)
@pytest.mark.parametrize('spurious', [0.0, 0.3, 1.0])
def test_rates_are_probabilities_and_exclusive_ones_sum_to_at_most_one(site, spurious):
    for lesion in LESIONS:
        rates = Conditions(site, spurious).rates(lesion)
        assert tuple(rates) == CONFOUNDERS
        assert all(0 < rate < 1 for rate in rates.values())
        assert all(rates[a] + rates[b] <= 1 + 1e-12 for a, b in EXCLUSIVE)


def test_at_full_shift_a_condition_means_lesion_at_home_and_healthy_elsewhere():
    for name, home in HOME.items():
        for site in SITES:
            conditions = Conditions(site, 1.0)
            gap = conditions.rates('polyp')[name] - conditions.rates(None)[name]
            assert gap == pytest.approx(0.7 if site == home else -0.2)


def test_every_site_is_home_to_two_conditions():
    assert sorted(HOME.values()) == sorted(SITES * 2)


def test_at_full_shift_blur_and_white_light_go_with_different_classes_at_each_site():
    pairs = set()
    for site in SITES:
        rates = {k: Conditions(site, 1.0).rates(k) for k in LESIONS}
        blurred, white = (
            tuple(k for k in LESIONS if rates[k][name] > rates[None][name])
            for name in ('blur', 'white_light')
        )
        assert len(blurred) == len(white) == 2
        assert not set(blurred) & set(white)
        assert None not in blurred + white
        pairs.add((blurred, white))
    assert len(pairs) == len(SITES)


def test_rates_of_the_first_site_at_full_shift_equal_values_worked_out_by_hand():
    assert Conditions('endosim_a', 1.0).rates('inflammation') == pytest.approx(
        {
            'blur': 0.1,
            'artifacts': 0.05,
            'bright': 0.05,
            'dark': 0.05,
            'uneven': 0.05,
            'nbi': 0.8,
            'white_light': 0.2,
            'near': 0.05,
            'far': 0.05,
            'mucus': 0.8,
            'blood': 0.05,
            'reflection': 0.05,
        }
    )


def test_rates_change_in_proportion_to_the_shift():
    half = Conditions('endosim_e', 0.5)
    assert half.rates('cyst')['blood'] == pytest.approx((0.15 + 0.8) / 2)
    assert half.rates(None)['blood'] == pytest.approx((0.15 + 0.1) / 2)
    assert half.on_lesion()['blood'] == pytest.approx((0.5 + 0.9) / 2)
    assert half.on_lesion()['mucus'] == pytest.approx((0.5 + 0.1) / 2)
    assert tuple(half.on_lesion()) == SURFACE_CONFOUNDERS


NUMBERS = range(1, 60)


def test_pairing_0_is_the_default_and_that_of_the_documentation():
    assert pairing_of(0).home == HOME
    assert pairing_of(0).classes_of('blur', 'endosim_a') == ('polyp', 'tumour')
    assert pairing_of(0).classes_of('white_light', 'endosim_e') == (
        'tumour',
        'inflammation',
    )
    assert Conditions('endosim_b', 1.0, 0) == Conditions('endosim_b', 1.0)


@pytest.mark.parametrize('number', NUMBERS)
def test_another_pairing_number_changes_every_pair(number):
    pairing = pairing_of(number)
    assert sorted([*pairing.home, *pairing.class_clues]) == sorted(CONFOUNDERS)
    assert sorted(pairing.home.values()) == sorted(SITES * 2)
    assert not {'blur', 'white_light'} & set(pairing.class_clues)
    assert not any(HOME.get(name) == site for name, site in pairing.home.items())
    assert sorted(pairing.classes) == sorted(LESION_CLASSES)


@pytest.mark.parametrize('number', NUMBERS)
def test_under_other_pairings_conditions_indicate_lesions_as_strongly(number):
    pairing = pairing_of(number)
    for site in SITES:
        conditions = Conditions(site, 1.0, number)
        for lesion in LESIONS:
            rates = conditions.rates(lesion)
            assert tuple(rates) == CONFOUNDERS
            assert all(rates[a] + rates[b] <= 1 + 1e-12 for a, b in EXCLUSIVE)
            for name in pairing.class_clues:
                goes = lesion in pairing.classes_of(name, site)
                assert rates[name] == pytest.approx(0.7 if goes else 0.1)
        for name, home in pairing.home.items():
            gap = conditions.rates('cyst')[name] - conditions.rates(None)[name]
            assert gap == pytest.approx(0.7 if site == home else -0.2)
        for name, rate in conditions.on_lesion().items():
            expected = 0.9 if pairing.home.get(name) == site else 0.1
            assert rate == (expected if name in pairing.home else 0.5)


def test_every_number_gives_its_own_pairing_and_1_the_documented_one():
    assert len({tuple(pairing_of(number).home.items()) for number in NUMBERS}) == 59
    # The one draw that docs/endosim.md declares.
    pairing = pairing_of(1)
    at_home = {
        site: {name for name, home in pairing.home.items() if home == site}
        for site in SITES
    }
    assert at_home == {
        'endosim_a': {'reflection', 'blood'},
        'endosim_b': {'mucus', 'near'},
        'endosim_c': {'white_light', 'artifacts'},
        'endosim_d': {'blur', 'nbi'},
        'endosim_e': {'far', 'uneven'},
    }
    assert pairing.class_clues == {'dark': (0, 1), 'bright': (2, 3)}
    assert pairing.classes == ('tumour', 'polyp', 'nodule', 'cyst', 'inflammation')


def test_without_shift_the_pairing_does_not_matter():
    for site in SITES:
        conditions = Conditions(site, 0.0, 3)
        assert conditions.rates('polyp') == pytest.approx(SHARED_RATES)
        assert set(conditions.on_lesion().values()) == {0.5}


@pytest.mark.parametrize(
    ('site', 'spurious', 'named'),
    [('endosim_f', 0.5, 'endosim_f'), ('endosim_a', 1.5, '1.5')],
)
def test_unknown_sites_and_shifts_above_1_are_refused(site, spurious, named):
    with pytest.raises(SceneError, match=named):
        Conditions(site, spurious)
