from types import SimpleNamespace

import numpy as np

from mcdrl_lab.trust.drift import ConditionDrift
from mcdrl_lab.trust.site_page import _bar, _dice


def drift(effect: float) -> ConditionDrift:
    return ConditionDrift('blur', 0.0, 0.1, effect, 0.001, 0.01, 0)


def test_an_effect_just_below_the_threshold_is_not_rounded_to_it():
    assert _bar(drift(-0.455))['effect'] == '\u22120.46'
    assert _bar(drift(0.5))['effect'] == '+0.50'
    assert _bar(drift(0.0))['effect'] == '0'


def test_a_site_error_that_rounds_to_zero_has_no_minus_sign():
    errors = {'a': -0.002, 'b': -0.026, 'c': 0.014}
    model = SimpleNamespace(rank_correlation=0.5, images=9, site_errors=errors)
    dice = SimpleNamespace(mean=0.5, low=0.4, high=0.6, images=np.array([0.5]))
    check = SimpleNamespace(dice=dice, dice_models={'confidence': model})
    assert _dice(check, 0.5)['sites'] == [('a', '+0'), ('b', '-3'), ('c', '+1')]
