import cv2
import numpy as np
import pytest
import torch

from mcdrl_mmseg.evaluation.calibration_counts import (
    calibration_histograms,
    near_outline,
)


def test_pixels_are_counted_by_nearness_to_the_outline_truth_and_probability():
    lesion = torch.tensor([[0, 0, 0, 1, 1, 1]]).bool()
    probability = torch.tensor([[0.0, 0.25, 0.5, 0.5, 0.9, 1.0]])
    valid = torch.tensor([[1, 1, 1, 1, 1, 0]]).bool()
    counts = calibration_histograms(probability, lesion, valid)
    # Columns 2 and 3 lie within a pixel of the other kind; the last is ignored.
    assert counts.shape == (2, 2, 1001) and counts.sum() == 5
    assert counts[0, 0, 0] == counts[0, 0, 250] == counts[0, 1, 900] == 1
    assert counts[1, 0, 500] == counts[1, 1, 500] == 1


def test_border_is_one_percent_of_the_diagonal_on_either_side():
    # 300 x 400: the diagonal is 500, so the border is 5 pixels wide.
    lesion = np.zeros((300, 400), bool)
    lesion[:, 200:] = True
    near = near_outline(lesion)
    assert near[150, 195:205].all()
    assert not near[150, :195].any() and not near[150, 205:].any()


def test_border_of_a_single_pixel_is_the_pixel_and_its_four_neighbours():
    lesion = np.zeros((9, 9), bool)
    lesion[4, 4] = True
    near = near_outline(lesion)
    assert near[4, 4] and near.sum() == 5


def test_empty_and_full_masks_have_no_border():
    assert not near_outline(np.zeros((9, 9), bool)).any()
    assert not near_outline(np.ones((9, 9), bool)).any()


@pytest.mark.parametrize(
    ('rows', 'columns'),
    [
        (slice(60, 90), slice(100, 180)),
        (slice(0, 30), slice(0, 40)),
        (slice(95, 120), slice(0, 200)),
        (slice(0, 119), slice(1, 200)),
        (slice(117, 118), slice(197, 198)),
    ],
    ids=['inside', 'in a corner', 'along a side', 'all but a seam', 'a dot'],
)
def test_border_agrees_with_distances_computed_over_the_whole_image(rows, columns):
    lesion = np.zeros((120, 200), bool)
    ragged = np.random.default_rng(0).random(lesion.shape) < 0.9
    lesion[rows, columns] = ragged[rows, columns]
    lesion[rows.start, columns.start] = True
    width = 0.01 * np.hypot(120, 200)
    expected = np.zeros_like(lesion)
    for kind in (lesion, ~lesion):
        distance = cv2.distanceTransform(
            kind.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
        expected |= kind & (distance <= width)
    np.testing.assert_array_equal(near_outline(lesion), expected)
