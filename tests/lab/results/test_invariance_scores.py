import math

import numpy as np
import pytest

from mcdrl_lab.results.invariance_scores import (
    PairScores,
    mask_dice,
    overall_scores,
    pair_scores,
)


def row(*pixels):
    """A mask of one line of four pixels."""
    mask = np.zeros((1, 4), bool)
    mask[0, list(pixels)] = True
    return mask


def masks(*rows):
    return np.stack([row(*pixels) for pixels in rows])


def test_dice_of_masks_is_undefined_where_both_are_empty():
    first = masks((0, 1), (0,), (), ())
    second = masks((1, 2, 3), (1,), (1,), ())
    np.testing.assert_allclose(mask_dice(first, second), [2 / 5, 0, 0, np.nan])
    with pytest.raises(ValueError, match=r'\(n, h, w\)'):
        mask_dice(first, second[0])


def test_pairs_are_scored_against_each_other_and_against_the_truth():
    truth = masks((0, 1), (0, 1), (2,))
    absent = masks((0, 1), (0,), ())
    present = masks((0,), (), ())
    scores = pair_scores(absent, present, truth, truth, same_mask=True)
    # The third scene, where both predictions are empty, has no agreement.
    assert scores.agreement == pytest.approx((2 / 3 + 0) / 2)
    assert scores.dice_absent == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert scores.dice_present == pytest.approx((2 / 3 + 0 + 0) / 3)
    assert scores.both_empty == pytest.approx(1 / 3)
    assert scores.scenes == 3


def test_if_the_true_mask_moves_each_prediction_is_scored_against_its_own():
    truths = masks((0, 1)), masks((2, 3))
    with pytest.raises(ValueError, match='the confounder changes the mask'):
        pair_scores(*truths, *truths, same_mask=True)
    scores = pair_scores(*truths, *truths, same_mask=False)
    assert math.isnan(scores.agreement)
    assert scores.dice_absent == scores.dice_present == 1


def test_the_mean_over_confounders_leaves_out_undefined_values():
    found = overall_scores(
        {
            'blur': PairScores(0.5, 0.8, 0.6, 0.0, 3),
            'near': PairScores(math.nan, 0.6, 0.5, 0.1, 3),
        }
    )
    assert found == PairScores(0.5, pytest.approx(0.7), pytest.approx(0.55), 0.05, 6)
