import numpy as np
import pytest
from scipy import stats

from mcdrl_lab.results.signed_rank_test import signed_rank_p


def test_five_differences_of_one_sign_give_p_2_in_32():
    assert signed_rank_p(np.array([1.0, 2, 3, 4, 5])) == pytest.approx(0.0625)
    assert signed_rank_p(-np.array([1.0, 2, 3, 4, 5])) == pytest.approx(0.0625)


@pytest.mark.reliability('silent', 'p values where differences are zero')
@pytest.mark.parametrize('zeros', [1, 8, 9, 10, 60])
def test_zero_differences_do_not_change_p_however_many_there_are(zeros):
    """scipy 1.17 gives 0.043 for these five differences among 14 or more pairs."""
    differences = np.array([*[0.0] * zeros, 1, 2, 3, 4, 5])
    assert signed_rank_p(differences) == pytest.approx(0.0625)


def test_no_difference_at_all_gives_p_1():
    assert signed_rank_p(np.zeros(20)) == 1.0
    assert signed_rank_p(np.array([])) == 1.0


def test_one_small_difference_of_the_other_sign_gives_p_4_in_32():
    """Of 32 choices of signs, 2 on each side have a rank sum of 1 or less: 4 in 32."""
    assert signed_rank_p(np.array([-1.0, 2, 3, 4, 5])) == pytest.approx(4 / 32)


def test_tied_differences_share_their_mean_rank():
    """Ranks 1.5, 1.5, 3. Sums of 1.5 or less: none, either of the two; 6 in 8."""
    assert signed_rank_p(np.array([-1.0, 1, 2])) == pytest.approx(6 / 8)


def test_signs_that_cancel_out_give_p_1():
    assert signed_rank_p(np.array([-1.0, 1])) == 1.0


@pytest.mark.parametrize('number', [1, 6, 13, 14, 30, 50, 51, 200])
def test_without_zeros_and_ties_p_equals_that_of_scipy(number):
    differences = np.random.default_rng(number).normal(0.3, 1, number)
    expected = stats.wilcoxon(differences).pvalue
    assert signed_rank_p(differences) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize('number', [5, 9, 13, 60, 300])
def test_with_ties_p_equals_that_of_scipy_where_scipy_is_exact_or_normal(number):
    """scipy enumerates all signs up to 13 differences, and is normal above 50."""
    differences = np.random.default_rng(number).choice([-2.0, -1, 1, 2, 3], number)
    expected = stats.wilcoxon(differences).pvalue
    assert signed_rank_p(differences) == pytest.approx(expected, rel=1e-9)
