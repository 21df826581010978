import numpy as np
import pytest

from mcdrl_lab.trust.dice_predictors import (
    BOTH,
    CONDITIONS,
    CONFIDENCE,
    EMBEDDING,
    expectations,
    failure_aucs,
    features_of,
    rank_correlation,
    rank_correlations,
)


def test_rank_correlation_matches_hand_worked_values():
    # 1 - 6 sum d^2 / (n (n^2 - 1)) with d = 0, 1, 1, 0.
    assert rank_correlation(np.array([1, 2, 3, 4]), np.array([1, 3, 2, 4])) == (
        pytest.approx(1 - 6 * 2 / (4 * 15))
    )
    assert np.isnan(rank_correlation(np.ones(3), np.arange(3)))
    assert np.isnan(rank_correlation(np.ones(1), np.ones(1)))


def drawn():
    """Dice that falls with the first condition and rises with the self-Dice."""
    rng = np.random.default_rng(0)
    scores, told = rng.normal(size=(200, 3)), rng.normal(size=(200, 2))
    dice = 0.5 - 0.05 * scores[:, 0] + 0.05 * told[:, 0]
    return scores, told, dice, ['abcd'[n % 4] for n in range(200)]


@pytest.mark.usefixtures('few_draws')
def test_conditions_and_confidence_together_predict_better_than_either_alone():
    scores, told, dice, sites = drawn()
    noise = np.random.default_rng(1).normal(size=(200, 4))
    features = features_of(scores, noise, told)
    assert [values.shape[1] for values in features.values()] == [3, 4, 1, 4]
    expected = expectations(features, dice, sites)
    found = rank_correlations(expected, dice, sites, [None] * 200)
    assert found[BOTH].value > 0.99
    assert abs(found[EMBEDDING].value) < 0.2
    for name in (CONDITIONS, CONFIDENCE):
        # Half of the variance each: a correlation of about the root of one half.
        assert found[name].value == pytest.approx(0.7, abs=0.08)
        assert found[name].low < found[name].value < found[name].high < 0.9


def test_without_confidence_only_conditions_and_embedding_are_features():
    scores, told, _, _ = drawn()
    assert list(features_of(scores, told, None)) == [CONDITIONS, EMBEDDING]


@pytest.mark.usefixtures('few_draws')
def test_area_under_the_curve_matches_hand_worked_values():
    # Of the 2 x 3 pairs the flag orders 5, and one is a tie: 5.5 / 6.
    expected = dict(plain=np.zeros(5), flag=np.array([1, 3, 3, 4, 5]))
    failed = np.array([True, True, False, False, False])
    areas, gains = failure_aucs(expected, 'plain', failed, list('aabba'), [None] * 5)
    assert areas['flag'].value == pytest.approx(5.5 / 6)
    assert areas['plain'].value == 0.5
    assert gains['flag'].value == pytest.approx(5.5 / 6 - 0.5)
    assert list(gains) == ['flag']


@pytest.mark.parametrize('failed', [[True] * 3, [False] * 3])
@pytest.mark.usefixtures('few_draws')
def test_only_failures_or_no_failures_give_no_area_under_the_curve(failed):
    areas, _ = failure_aucs(
        dict(flag=np.arange(3.0)), 'flag', np.array(failed), ['a'] * 3, [None] * 3
    )
    assert np.isnan(areas['flag'].value)


@pytest.mark.usefixtures('few_draws')
def test_one_image_gives_no_area_under_the_curve():
    areas, _ = failure_aucs(
        dict(flag=np.ones(1)), 'flag', np.array([True]), ['a'], [None]
    )
    assert np.isnan(areas['flag'].value)
