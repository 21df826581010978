import numpy as np
import pytest
from scipy import stats

from mcdrl_lab.results.signed_rank_test import signed_rank_p


def test_five_of_one_sign_have_a_chance_of_two_in_32():
    assert signed_rank_p(np.array([1.0, 2, 3, 4, 5])) == pytest.approx(0.0625)
    assert signed_rank_p(-np.array([1.0, 2, 3, 4, 5])) == pytest.approx(0.0625)


@pytest.mark.reliability('silent', 'p values where differences are zero')
@pytest.mark.parametrize('zeros', [1, 8, 9, 10, 60])
def test_zeros_say_nothing_however_many_there_are(zeros):
    """scipy 1.17 says 0.043 as soon as five differences stand among 14 pairs."""
    differences = np.array([*[0.0] * zeros, 1, 2, 3, 4, 5])
    assert signed_rank_p(differences) == pytest.approx(0.0625)


def test_no_difference_at_all_is_no_evidence():
    assert signed_rank_p(np.zeros(20)) == 1.0
    assert signed_rank_p(np.array([])) == 1.0


def test_one_small_difference_of_the_other_sign():
    """Of 32 signs, 2 a side have a smaller sum of ranks of 1 or less: 4 in 32."""
    assert signed_rank_p(np.array([-1.0, 2, 3, 4, 5])) == pytest.approx(4 / 32)


def test_equal_sizes_share_their_mean_rank():
    """Ranks 1.5, 1.5, 3. Sums of 1.5 or less: none, either of the two; 6 in 8."""
    assert signed_rank_p(np.array([-1.0, 1, 2])) == pytest.approx(6 / 8)


def test_signs_that_cancel_out_are_no_evidence():
    assert signed_rank_p(np.array([-1.0, 1])) == 1.0


@pytest.mark.parametrize('number', [1, 6, 13, 14, 30, 50, 51, 200])
def test_without_zeros_and_ties_it_is_scipys(number):
    differences = np.random.default_rng(number).normal(0.3, 1, number)
    expected = stats.wilcoxon(differences).pvalue
    assert signed_rank_p(differences) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize('number', [5, 9, 13, 60, 300])
def test_with_ties_it_is_scipys_where_scipy_is_exact_or_normal(number):
    """scipy goes over all signs up to 13 differences, and is normal above 50."""
    differences = np.random.default_rng(number).choice([-2.0, -1, 1, 2, 3], number)
    expected = stats.wilcoxon(differences).pvalue
    assert signed_rank_p(differences) == pytest.approx(expected, rel=1e-9)
