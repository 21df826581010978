import numpy as np
import pytest
import torch
from scipy import ndimage

from mcdrl_mmseg.evaluation.lesion_matching import lesion_counts


def counts(predicted, lesion):
    return lesion_counts(torch.tensor(predicted).bool(), torch.tensor(lesion).bool())


def test_found_missed_and_false_lesions_agree_with_a_hand_worked_case():
    # 40 pixels. Lesions of 4 (found whole), 2 (missed) and 4 (one pixel found).
    lesion = [
        [1, 1, 0, 0, 1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 1, 1, 1, 0, 0, 0, 0],
    ]
    predicted = [
        [1, 1, 0, 0, 0, 0, 0, 0, 0, 1],
        [1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 1, 0, 0, 0],
    ]
    found = counts(predicted, lesion)
    # 4 of 40 pixels are 10 %: large; 2 of 40 are medium. IoU 4/5, 0 and 1/5.
    assert found['large'] == [2, 2, 1]
    assert found['medium'] == [1, 0, 0]
    assert found['small'] == [0, 0, 0]
    assert (found['predicted'], found['false'], found['false_iou50']) == (3, 1, 2)


def test_lesion_is_matched_at_an_iou_of_one_half_and_not_below():
    assert counts([[1, 1, 0, 0]], [[1, 1, 1, 1]])['large'] == [1, 1, 1]
    assert counts([[1, 0, 0, 0]], [[1, 1, 1, 0]])['large'] == [1, 1, 0]


def test_one_region_over_two_lesions_finds_both_and_matches_none():
    found = counts([[1, 1, 1, 1, 1]], [[1, 1, 0, 1, 1]])
    assert found['large'] == [2, 2, 0]
    assert (found['predicted'], found['false'], found['false_iou50']) == (1, 0, 1)


def test_two_regions_in_one_lesion_find_it_once_and_none_is_false():
    found = counts([[1, 0, 1, 1, 1]], [[1, 1, 1, 1, 1]])
    assert found['large'] == [1, 1, 1]
    assert (found['predicted'], found['false'], found['false_iou50']) == (2, 0, 1)


def test_diagonal_neighbours_are_one_lesion():
    assert counts([[1, 0], [0, 0]], [[1, 0], [0, 1]])['large'] == [1, 1, 1]


def test_single_pixels_and_empty_masks_are_counted():
    one = np.zeros((20, 20), int)
    one[3, 4] = 1
    empty = np.zeros((20, 20), int)
    assert counts(one, one)['small'] == [1, 1, 1]
    assert counts(empty, one)['small'] == [1, 0, 0]
    vain = counts(one, empty)
    assert (vain['small'], vain['predicted'], vain['false']) == ([0, 0, 0], 1, 1)
    assert vain['false_iou50'] == 1
    nothing = counts(empty, empty)
    assert (nothing['predicted'], nothing['false']) == (0, 0)


@pytest.mark.parametrize(
    'pixels, size', [(3, 'small'), (4, 'medium'), (39, 'medium'), (40, 'large')]
)
def test_size_of_a_lesion_is_its_share_of_the_image(pixels, size):
    # Of 400 pixels 1 % are 4, 10 % are 40.
    lesion = np.zeros(400, int)
    lesion[:pixels] = 1
    assert counts(lesion.reshape(20, 20), lesion.reshape(20, 20))[size] == [1, 1, 1]


def test_counts_agree_with_a_comparison_of_all_pairs_of_lesions():
    rng = np.random.default_rng(0)
    smooth = [ndimage.gaussian_filter(rng.normal(size=(80, 80)), 2) for _ in range(2)]
    lesion = smooth[0] > 0.1
    predicted = 0.7 * smooth[0] + 0.3 * smooth[1] > 0.08
    truth, n = ndimage.label(lesion, np.ones((3, 3)))
    guess, m = ndimage.label(predicted, np.ones((3, 3)))
    iou = np.zeros((n, m))
    for i in range(n):
        for j in range(m):
            a, b = truth == i + 1, guess == j + 1
            iou[i, j] = (a & b).sum() / (a | b).sum()
    found = counts(predicted, lesion)
    totals = np.sum([found[size] for size in ('small', 'medium', 'large')], axis=0)
    assert totals.tolist() == [
        n,
        (iou.max(axis=1) > 0).sum(),
        (iou.max(axis=1) >= 0.5).sum(),
    ]
    assert found['false'] == (iou.max(axis=0) == 0).sum()
    assert found['false_iou50'] == (iou.max(axis=0) < 0.5).sum()
    assert 0 < totals[2] < totals[1] < n, 'every kind of lesion is among them'
