import numpy as np
import pytest

from mcdrl_common.calibration_scores import (
    BINS,
    LEVELS,
    calibration_scores,
    reliability_diagram,
)


def histogram(*pixels):
    """The histogram of (probability, whether lesion, number of pixels)."""
    counts = np.zeros((2, LEVELS), int)
    for probability, lesion, count in pixels:
        counts[int(lesion), round(probability * 1000)] += count
    return counts


def test_errors_of_two_bins_equal_those_worked_out_by_hand():
    # Ten pixels at 0.9, six of them lesion; ten at 0.1, one lesion.
    counts = histogram((0.9, 1, 6), (0.9, 0, 4), (0.1, 1, 1), (0.1, 0, 9))
    scores = calibration_scores(counts)
    assert scores['ECE'] == pytest.approx((10 * 0.3 + 10 * 0.0) / 20)
    # Of 15 bins of 20/15 pixels, seven and a half lie at 0.9: one holds both.
    middle = abs((0.9 - 0.6) / 2 + 0.0)
    assert scores['ACE'] == pytest.approx((7 * 0.3 + middle) / 15)
    squares = 6 * 0.01 + 4 * 0.81 + 1 * 0.81 + 9 * 0.01
    assert scores['Brier'] == pytest.approx(squares / 20)


def test_errors_of_opposite_sign_in_one_bin_cancel_in_ece_but_not_in_ace():
    # 0.41 and 0.45 share the bin (0.4, 0.467].
    counts = histogram((0.41, 1, 15), (0.45, 0, 15))
    scores = calibration_scores(counts)
    assert scores['ECE'] == pytest.approx(abs(0.43 - 0.5))
    # Seven bins miss by 0.59, seven by 0.45, the one between by half of each.
    middle = abs(-0.59 + 0.45) / 2
    assert scores['ACE'] == pytest.approx((7 * 0.59 + middle + 7 * 0.45) / 15)


def test_perfect_predictions_score_zero_and_worst_predictions_one():
    sure = histogram((1.0, 1, 5), (0.0, 0, 10))
    wrong = histogram((1.0, 0, 5), (0.0, 1, 10))
    assert set(calibration_scores(sure).values()) == {0.0}
    assert list(calibration_scores(wrong).values()) == pytest.approx([1.0] * 3)


def test_the_error_of_a_single_pixel_is_its_own():
    scores = calibration_scores(histogram((0.3, 1, 1)))
    assert scores['ECE'] == pytest.approx(0.7)
    assert scores['ACE'] == pytest.approx(0.7)
    assert scores['Brier'] == pytest.approx(0.49)


def test_scores_are_defined_without_any_lesion_but_not_without_any_pixel():
    scores = calibration_scores(histogram((0.2, 0, 4)))
    assert scores['ECE'] == pytest.approx(0.2)
    assert scores['Brier'] == pytest.approx(0.04)
    assert set(calibration_scores(histogram()).values()) == {None}


def test_a_bin_includes_its_upper_edge():
    # 0.2 is 3/15: it belongs to the third bin, 0.201 to the fourth.
    diagram = reliability_diagram(histogram((0.2, 0, 1), (0.201, 1, 2)))
    assert diagram['pixels'][2:4] == [1, 2]
    assert diagram['probability'][2:4] == [0.2, 0.201]
    assert diagram['lesion'][2:4] == [0.0, 1.0]
    assert diagram['probability'][0] is None
    assert len(diagram['pixels']) == BINS


def test_scores_agree_with_those_of_individually_sorted_pixels():
    rng = np.random.default_rng(0)
    # 15 divides the number of pixels and no two have one level: no level is split.
    level = rng.choice(LEVELS, 990, replace=False)
    lesion = rng.random(990) < (level / 1000) ** 2
    counts = np.zeros((2, LEVELS), int)
    np.add.at(counts, (lesion.astype(int), level), 1)
    order = np.argsort(level)
    gaps = (level / 1000 - lesion)[order].reshape(15, 66).mean(axis=1)
    scores = calibration_scores(counts)
    assert scores['ACE'] == pytest.approx(np.abs(gaps).mean())
    edges = np.digitize(level / 1000, np.arange(1, 15) / 15, right=True)
    parts = [(level / 1000 - lesion)[edges == b] for b in range(15)]
    expected = sum(len(part) / 990 * abs(part.mean()) for part in parts if len(part))
    assert scores['ECE'] == pytest.approx(expected)
