from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from mcdrl_common.site_reference import site_reference
from mcdrl_lab.trust.drift import ConditionDrift, condition_drift, describe_drift


def made(groups, names=('dark',)):
    """A reference of sites a, b, ... with these scores, one array (n, M) each."""
    scores = np.concatenate(groups)
    rng = np.random.default_rng(9)
    sites = ['abcdefg'[place] for place, group in enumerate(groups) for _ in group]
    return site_reference(scores, rng.normal(size=(len(scores), 4)), sites, names)


def column(*values) -> np.ndarray:
    return np.array(values, float)[:, None]


def test_effect_p_and_shares_match_hand_worked_values_and_scipy():
    # Both sites spread by sqrt(90 / 9): 0, 2, ..., 18 and the same plus 10.
    a = column(*range(0, 20, 2))
    b = a + 10
    new = column(*range(40, 60, 4))
    (found,) = condition_drift(made([a, b]), new)
    spread = np.sqrt(330 / 9)
    assert found.effect == pytest.approx((48 - 19) / spread)
    # The largest p of both sites is that of b, the nearer one.
    higher = stats.ttest_ind(new, b, equal_var=False, alternative='greater')
    assert found.p == pytest.approx(2 * higher.pvalue[0])
    assert found.p_holm == found.p
    assert (found.above, found.below, found.differs) == (1, 0, 1)
    (found,) = condition_drift(made([a, b]), new - 70)
    assert found.effect == pytest.approx((-22 - 9) / spread)
    assert (found.above, found.below, found.differs) == (0, 1, -1)


def test_site_between_training_sites_does_not_differ():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (200, 1)), rng.normal(3, 1, (200, 1))
    (found,) = condition_drift(made([a, b]), rng.normal(1.5, 1, (200, 1)))
    assert (found.effect, found.differs) == (0, 0)
    assert found.p == 1


def test_a_site_identical_to_the_training_sites_is_not_flagged():
    scores = np.random.default_rng(1).normal(size=(100, 3))
    reference = made([scores, scores], ('dark', 'blur', 'blood'))
    for found in condition_drift(reference, scores):
        assert found.differs == found.effect == 0
        assert found.p_holm == 1
        assert found.above <= 0.03 and found.below <= 0.03


def test_a_site_with_the_same_distribution_is_rarely_flagged():
    rng = np.random.default_rng(2)
    flags = 0
    for _ in range(100):
        reference = made([rng.normal(size=(60, 5)) for _ in range(4)], 'abcde')
        flags += any(
            d.differs for d in condition_drift(reference, rng.normal(size=(60, 5)))
        )
    assert flags <= 5


def test_a_significant_difference_below_half_a_deviation_is_not_flagged():
    rng = np.random.default_rng(3)
    site = rng.normal(size=(5000, 1))
    reference = made([site])
    small, large = (condition_drift(reference, site + x)[0] for x in (0.4, 0.6))
    assert small.p_holm < 1e-6 and small.differs == 0
    assert large.differs == 1


def test_holm_corrects_over_the_conditions():
    rng = np.random.default_rng(4)
    site = rng.normal(size=(12, 2))
    new = site + np.array([0.9, 0])
    first, second = condition_drift(made([site], ('dark', 'blur')), new)
    assert first.p_holm == pytest.approx(2 * first.p)
    assert second.p_holm == 1


def test_one_image_has_shares_but_no_p_value():
    site = np.random.default_rng(5).normal(size=(50, 1))
    (found,) = condition_drift(made([site]), column(9))
    assert (found.above, found.p, found.p_holm, found.differs) == (1, None, None, 0)


def test_equal_images_and_conditions_without_spread_can_be_compared():
    flat = np.full((20, 1), 0.5)
    reference = made([flat, flat])
    (same,) = condition_drift(reference, flat)
    assert (same.effect, same.p, same.differs) == (0, 1, 0)
    (other,) = condition_drift(reference, flat + 0.1)
    assert other.differs == 1 and np.isfinite(other.effect)
    # Here only the new site is without spread.
    varied = made([np.random.default_rng(6).normal(size=(50, 1))])
    (found,) = condition_drift(varied, flat + 2)
    assert (found.differs, found.above) == (1, 1)


@pytest.mark.parametrize(
    ('scores', 'why'),
    [
        (column(1, np.nan), 'NaN'),
        (column(1, np.inf), 'infinite'),
        (np.zeros((0, 1)), 'no image'),
        (np.zeros((3, 2)), '1 conditions'),
        (np.zeros(3), '1 conditions'),
    ],
)
def test_scores_that_cannot_be_compared_are_refused(scores, why):
    reference = made([np.random.default_rng(7).normal(size=(20, 1))])
    with pytest.raises(ValueError, match=why):
        condition_drift(reference, scores)


def test_description_names_the_condition_its_direction_and_the_share():
    drift = ConditionDrift('dark lighting', 0.412, 0.01, 1.2, 0.001, 0.01, 1)
    assert describe_drift(drift, 4) == (
        'more "dark lighting" than at any training site: 41 % of the images'
    )
    less = replace(drift, differs=-1, below=0.3)
    assert describe_drift(less, 1) == (
        'less "dark lighting" than at the training site: 30 % of the images'
    )
