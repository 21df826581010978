import numpy as np
import pytest
import torch

from mcdrl_common.overlap_scores import (
    Counts,
    class_counts,
    foreground_counts,
    mean_over_thresholds,
    overlap_scores,
)
from mcdrl_mmseg.evaluation.pixel_counts import (
    confusion_matrix,
    threshold_histograms,
)

TARGET = torch.tensor([[0, 0, 1, 1], [0, 2, 2, 255]])
LABELS = torch.tensor([[0, 1, 1, 2], [0, 0, 2, 1]])


def test_the_confusion_matrix_counts_pairs_and_leaves_out_ignored_pixels():
    matrix = confusion_matrix(LABELS, TARGET, 3)
    assert matrix.tolist() == [[2, 1, 0], [0, 1, 1], [1, 0, 1]]


def test_ignored_pixels_do_not_count_as_background():
    everything = torch.full((2, 3), 255)
    assert confusion_matrix(torch.zeros(2, 3).long(), everything, 2).sum() == 0


def test_another_ignore_index_is_respected():
    matrix = confusion_matrix(torch.tensor([1, 1]), torch.tensor([1, 9]), 2, 9)
    assert matrix.tolist() == [[0, 0], [0, 1]]


def test_the_foreground_is_the_union_of_all_classes_but_the_background():
    matrix = confusion_matrix(LABELS, TARGET, 3)
    # (0, 3) is of class 1 and predicted as class 2: foreground in both.
    assert foreground_counts(matrix) == Counts(tp=3, fp=1, fn=1, tn=2)


def test_class_counts_are_one_against_the_rest():
    counts = class_counts(confusion_matrix(LABELS, TARGET, 3))
    assert counts.tp.tolist() == [2, 1, 1]
    assert counts.fp.tolist() == [1, 1, 1]
    assert counts.fn.tolist() == [1, 1, 1]
    assert counts.tn.tolist() == [3, 4, 4]


@pytest.mark.parametrize('wrong', [2, 3, 128, -1])
def test_a_label_beyond_the_classes_is_an_error_that_names_it(wrong):
    with pytest.raises(ValueError, match=rf'ground truth holds the labels \[{wrong}'):
        confusion_matrix(torch.tensor([0, 1]), torch.tensor([0, wrong]), 2)
    with pytest.raises(ValueError, match=rf'prediction holds the labels \[{wrong}'):
        confusion_matrix(torch.tensor([0, wrong]), torch.tensor([0, 1]), 2)


def test_label_maps_of_different_sizes_are_an_error():
    with pytest.raises(ValueError, match='differ in size'):
        confusion_matrix(torch.zeros(2, 3).long(), torch.zeros(3, 2).long(), 2)


def test_overlap_scores_equal_those_worked_out_by_hand():
    scores = overlap_scores(Counts(tp=6, fp=2, fn=4, tn=8))
    assert scores['dice'] == pytest.approx(12 / 18)
    assert scores['iou'] == pytest.approx(6 / 12)
    assert scores['accuracy'] == pytest.approx(14 / 20)
    assert scores['precision'] == pytest.approx(6 / 8)
    assert scores['recall'] == pytest.approx(6 / 10)


def test_the_dice_of_a_half_found_polyp_is_not_pooled_with_the_background():
    # Pooled with the background, as mmseg's mDice, it would be 83.2.
    scores = overlap_scores(Counts(tp=50, fp=0, fn=50, tn=9900))
    assert scores['dice'] == pytest.approx(2 / 3)


def test_a_missed_lesion_has_zero_in_all_four_foreground_scores():
    scores = overlap_scores(Counts(tp=0, fp=0, fn=5, tn=5))
    for name in ('dice', 'iou', 'precision', 'recall'):
        assert scores[name] == 0
    assert scores['accuracy'] == 0.5


@pytest.mark.parametrize('fp', [0, 3])
def test_foreground_scores_are_undefined_without_foreground_in_the_reference(fp):
    scores = overlap_scores(Counts(tp=0, fp=fp, fn=0, tn=10 - fp))
    for name in ('dice', 'iou', 'precision', 'recall'):
        assert np.isnan(scores[name])
    assert scores['accuracy'] == pytest.approx(1 - fp / 10)


def test_all_scores_are_undefined_without_pixels():
    assert all(np.isnan(v) for v in overlap_scores(Counts(0, 0, 0, 0)).values())


def test_scores_work_on_arrays():
    zero, one = np.array([0, 1]), np.array([1, 1])
    assert overlap_scores(Counts(zero, one, one, one))['dice'].tolist() == [0, 0.5]


def test_the_mean_over_thresholds_equals_that_worked_out_by_hand():
    probability = torch.tensor([1.0, 0.5, 0.0, 0.0])
    foreground = torch.tensor([True, True, False, False])
    histograms = threshold_histograms(
        probability, foreground, torch.ones(4, dtype=torch.bool)
    )
    # 0.5 becomes level 128. Threshold 0 marks all four pixels; 1 to 128 mark the
    # two right ones; 129 to 255 mark one of them.
    dice, iou = mean_over_thresholds(histograms)
    assert dice == pytest.approx((4 / 6 + 128 * 1 + 127 * 2 / 3) / 256)
    assert iou == pytest.approx((2 / 4 + 128 * 1 + 127 * 1 / 2) / 256)


def test_the_mean_over_thresholds_leaves_out_ignored_pixels():
    probability = torch.tensor([1.0, 0.0, 1.0, 0.0])
    foreground = torch.tensor([True, False, False, False])
    valid = torch.tensor([True, True, False, False])
    histograms = threshold_histograms(probability, foreground, valid)
    assert histograms.sum() == 2
    dice, _ = mean_over_thresholds(histograms)
    assert dice == pytest.approx((2 / 3 + 255) / 256)


def test_the_mean_over_thresholds_is_undefined_without_foreground():
    probability = torch.rand(5)
    nothing, everywhere = torch.zeros(5).bool(), torch.ones(5).bool()
    histograms = threshold_histograms(probability, nothing, everywhere)
    assert np.isnan(mean_over_thresholds(histograms)).all()


def test_the_mean_over_thresholds_agrees_with_256_separate_passes():
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        probability = torch.rand(37, 29, generator=generator)
        foreground = torch.rand(37, 29, generator=generator) < 0.3
        valid = torch.rand(37, 29, generator=generator) < 0.9
        levels = np.round(probability.double().numpy() * 255)[valid.numpy()]
        true = foreground.numpy()[valid.numpy()]
        dice, iou = [], []
        for threshold in range(256):
            marked = levels >= threshold
            both = np.logical_and(marked, true).sum()
            dice.append(2 * both / (marked.sum() + true.sum()))
            iou.append(both / np.logical_or(marked, true).sum())
        measured = mean_over_thresholds(
            threshold_histograms(probability, foreground, valid)
        )
        assert measured == pytest.approx((np.mean(dice), np.mean(iou)), abs=1e-9)
