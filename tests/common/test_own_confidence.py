import numpy as np
import pytest

from mcdrl_common.own_confidence import own_confidence


def confidence(probability, marked, valid=None):
    p, m = np.array(probability, np.float32), np.array(marked, bool)
    return own_confidence(p, m, None if valid is None else np.array(valid, bool))


def test_both_measures_equal_those_worked_out_by_hand():
    # sum(p m) = 1.5, sum(p) = 1.75, sum(m) = 2.
    found = confidence([[1.0, 0.5, 0.25, 0.0]], [[1, 1, 0, 0]])
    assert found['self_dice'] == pytest.approx(2 * 1.5 / (1.75 + 2))
    assert found['mean_confidence'] == pytest.approx((1 + 0.5 + 0.75 + 1) / 4)


def test_a_network_that_is_certain_everywhere_expects_a_perfect_mask():
    assert confidence([[1.0, 0.0]], [[1, 0]]) == dict(self_dice=1, mean_confidence=1)


@pytest.mark.parametrize(('p', 'mean'), [(0.0, 1.0), (0.3, 0.7)])
def test_an_empty_mask_has_self_dice_zero(p, mean):
    found = confidence([[p, p]], [[0, 0]])
    assert found['self_dice'] == 0
    assert found['mean_confidence'] == pytest.approx(mean)


def test_measures_of_a_single_pixel_equal_those_worked_out_by_hand():
    found = confidence([[0.6]], [[1]])
    assert found['self_dice'] == pytest.approx(2 * 0.6 / 1.6)
    assert found['mean_confidence'] == pytest.approx(0.6)
    # One pixel marked among a hundred, the others certainly background.
    p = np.zeros((10, 10))
    p[3, 4] = 0.8
    assert confidence(p, p > 0.5)['self_dice'] == pytest.approx(1.6 / 1.8)


def test_invalid_pixels_do_not_change_the_measures():
    part = confidence([[0.9, 0.2]], [[1, 0]])
    whole = confidence([[0.9, 0.2, 0.4]], [[1, 0, 1]], [[1, 1, 0]])
    assert whole == part
    nothing = confidence([[0.9]], [[1]], [[0]])
    assert nothing == dict(self_dice=None, mean_confidence=None)
