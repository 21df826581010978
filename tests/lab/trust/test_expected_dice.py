import numpy as np
import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.trust.expected_dice import DiceModel, fit_dice


class Line:
    """Expects a Dice equal to the first score."""

    @staticmethod
    def predict(scores):
        return scores[:, 0]


def test_interval_matches_hand_worked_values():
    # Student's t of three degrees at 0.975 is 3.182446; the root mean square is 0.05.
    model = DiceModel(Line, dict(a=0.05, b=-0.05, c=0.05), 0.5, 60)
    found = model.predict(np.array([[0.4], [0.8]]))
    assert found.mean == pytest.approx(0.6)
    assert found.low == pytest.approx(0.6 - 3.182446 * 0.05)
    assert found.high == pytest.approx(0.6 + 3.182446 * 0.05)


def test_expected_values_and_interval_stay_between_0_and_1():
    model = DiceModel(Line, dict(a=0.9, b=0.9, c=0.9), 0.5, 60)
    found = model.predict(np.array([[-1.0], [2.0]]))
    assert found.images.tolist() == [0, 1]
    assert (found.low, found.high) == (0, 1)


def drawn(noise=0.0):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(400, 3))
    dice = 0.6 - 0.1 * scores[:, 1] + noise * rng.normal(size=400)
    return scores, dice, ['abcd'[n % 4] for n in range(400)]


def test_condition_that_costs_dice_is_found():
    scores, dice, sites = drawn()
    model = fit_dice(scores, dice, sites)
    assert model.rank_correlation > 0.99
    found = model.predict(np.array([[0, 2.0, 0], [0, -1.0, 0]]))
    assert found.images == pytest.approx([0.4, 0.7], abs=0.01)
    assert max(map(abs, model.site_errors.values())) < 0.01


def test_site_errors_are_measured_at_sites_left_out_of_the_fit():
    # Only site d is worse by 0.3, and its conditions do not show it.
    scores, dice, sites = drawn()
    dice -= 0.3 * (np.array(sites) == 'd')
    errors = fit_dice(scores, dice, sites).site_errors
    assert errors['d'] == pytest.approx(0.3, abs=0.02)
    assert errors['a'] == pytest.approx(-0.1, abs=0.02)


def test_constant_dice_has_no_rank_correlation():
    scores, _, sites = drawn()
    assert np.isnan(fit_dice(scores, np.full(400, 0.5), sites).rank_correlation)


def test_scores_without_spread_give_the_mean_dice():
    _, dice, sites = drawn()
    model = fit_dice(np.ones((400, 3)), dice, sites)
    assert model.predict(np.ones((2, 3))).mean == pytest.approx(dice.mean())


def test_few_sites_or_images_are_refused_and_the_command_named():
    scores, dice, _ = drawn()
    with pytest.raises(ProtocolError, match=r'400 images .* 2 held-out sites \(a, b\)'):
        fit_dice(scores, dice, ['a', 'b'] * 200)
    with pytest.raises(ProtocolError, match='leave-one-site-out'):
        fit_dice(scores[:6], dice[:6], list('abcabc'))


def test_values_that_are_not_finite_are_refused():
    scores, dice, sites = drawn()
    dice[3] = np.nan
    with pytest.raises(ValueError, match='NaN or infinite'):
        fit_dice(scores, dice, sites)
