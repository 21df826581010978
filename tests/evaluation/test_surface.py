import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from mcdrl_mmseg.evaluation.surface import surface_scores, tolerance_in_pixels


def mask(height, width, *pixels):
    out = torch.zeros(height, width, dtype=torch.bool)
    for pixel in pixels:
        out[pixel] = True
    return out


def outline(region):
    """Pixels with a 4-neighbour outside, in plain numpy."""
    padded = np.pad(region, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.argwhere(region & ~inner)


def reference_scores(prediction, target, tolerance):
    """HD95 and surface Dice from all pairs of outline pixels, in float64."""
    distances = cdist(outline(prediction), outline(target))
    there, back = distances.min(axis=1), distances.min(axis=0)
    hd95 = max(np.percentile(there, 95), np.percentile(back, 95))
    close = (there <= tolerance).sum() + (back <= tolerance).sum()
    return hd95, close / (len(there) + len(back))


def random_blob(generator, shape=(40, 52)):
    noise = torch.rand(1, 1, *shape, generator=generator)
    smooth = torch.nn.functional.avg_pool2d(noise, 9, stride=1, padding=4)[0, 0]
    return smooth > smooth.quantile(0.7)


def test_distance_of_two_single_pixels_is_euclidean():
    prediction, target = mask(10, 10, (1, 1)), mask(10, 10, (4, 5))
    assert surface_scores(prediction, target, 5.0) == (5.0, 1.0)
    assert surface_scores(prediction, target, 4.9) == (5.0, 0.0)


def test_equal_masks_have_distance_zero_and_full_surface_dice():
    square = mask(12, 12, (slice(3, 8), slice(2, 9)))
    assert surface_scores(square, square, 0.0) == (0.0, 1.0)


def test_a_mask_at_the_image_border_has_its_outline_there():
    # The outline of a full image is its frame; the centre pixel is 2 away from it.
    full, centre = mask(5, 5, (slice(None), slice(None))), mask(5, 5, (2, 2))
    hd95, nsd = surface_scores(centre, full, 2.0)
    there, back = [2.0], [2.0] * 4 + [math.sqrt(5)] * 8 + [math.sqrt(8)] * 4
    assert hd95 == pytest.approx(max(there[0], np.percentile(back, 95)))
    assert nsd == pytest.approx((1 + 4) / (1 + 16))


def test_a_missed_lesion_costs_the_diagonal_and_has_a_surface_dice_of_zero():
    assert surface_scores(mask(30, 40), mask(30, 40, (3, 3)), 2.0) == (50.0, 0.0)


def test_distance_of_opposite_corners_is_below_the_penalty_of_a_missed_lesion():
    hd95, _ = surface_scores(mask(30, 40, (0, 0)), mask(30, 40, (29, 39)), 2.0)
    assert hd95 < 50.0


def test_an_empty_ground_truth_is_refused():
    with pytest.raises(ValueError, match='needs foreground'):
        surface_scores(mask(4, 4, (1, 1)), mask(4, 4), 1.0)


def test_hd95_and_surface_dice_agree_with_all_pairs_of_outline_pixels():
    generator = torch.Generator().manual_seed(3)
    for _ in range(8):
        prediction, target = random_blob(generator), random_blob(generator)
        measured = surface_scores(prediction, target, 1.5)
        expected = reference_scores(prediction.numpy(), target.numpy(), 1.5)
        assert measured == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    'setting, expected', [(2, 2.0), (0.0, 0.0), ('0.5%', 2.5), (' 1 % ', 5.0)]
)
def test_tolerance_is_in_pixels_or_a_share_of_the_diagonal(setting, expected):
    assert tolerance_in_pixels(setting, 300, 400) == pytest.approx(expected)


@pytest.mark.parametrize(
    'setting', [-1, '2', 'px', '%', '-1%', math.nan, math.inf, None, True, [2]]
)
def test_error_for_an_invalid_tolerance_names_the_accepted_forms(setting):
    with pytest.raises(ValueError, match='share of the image diagonal'):
        tolerance_in_pixels(setting, 300, 400)
