"""Truth of captions and the losses, with numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch

from mcdrl_lab.pretraining.endo_samples import UNKNOWN
from mcdrl_lab.pretraining.endo_truth import (
    balanced_pair_loss,
    dense_pair_loss,
    found_somewhere_loss,
    truth,
)
from mcdrl_lab.pretraining.endo_words import NORMAL, POLYP, SLIGHT, STRONG, Claim
from mcdrl_lab.simulation.drawn_conditions import BLOOD, BLUR


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_claims_are_true_false_or_unknown_for_each_image():
    lesions = np.array([POLYP, NORMAL, UNKNOWN, POLYP])
    present = np.zeros((4, 12), np.int8)
    strength = np.zeros((4, 12), np.float32)
    present[:, BLUR] = [1, 0, 1, UNKNOWN]
    strength[:, BLUR] = [0.3, 0, 0.9, np.nan]
    present[0, BLOOD], strength[0, BLOOD] = 1, np.nan
    claims = [
        Claim(POLYP),
        Claim(NORMAL),
        Claim(condition=BLUR),
        Claim(condition=BLUR, grade=SLIGHT),
        Claim(condition=BLUR, grade=STRONG),
        Claim(POLYP, BLUR),
        Claim(NORMAL, BLUR),
        Claim(condition=BLOOD, grade=STRONG),
    ]
    expected = [
        [1, 0, -1, 1],
        [0, 1, -1, 0],
        [1, 0, 1, -1],
        [1, 0, 0, -1],
        [0, 0, 1, -1],
        [1, 0, -1, -1],
        [0, 0, -1, 0],  # false as soon as one part is
        [-1, 0, 0, 0],
    ]
    assert truth(claims, lesions, present, strength).tolist() == expected


def test_grades_are_unknown_for_a_strength_between_them():
    claims = [Claim(condition=BLUR, grade=grade) for grade in (SLIGHT, STRONG)]
    present, strength = np.zeros((1, 12), np.int8), np.zeros((1, 12), np.float32)
    present[0, BLUR], strength[0, BLUR] = 1, 0.6
    found = truth(claims, np.array([POLYP]), present, strength)
    assert found.tolist() == [[UNKNOWN], [UNKNOWN]]


def test_the_pair_loss_gives_true_and_false_pairs_equal_total_weight():
    logits = torch.tensor([[2.0, -1.0, -1.0, 9.0], [0.0, 0.0, 0.0, 0.0]])
    true = torch.tensor([[1, 0, 0, UNKNOWN], [UNKNOWN] * 4], dtype=torch.int8)
    expected = (softplus(-2.0) + softplus(-1.0)) / 2
    assert balanced_pair_loss(logits, true).item() == pytest.approx(expected, rel=1e-5)
    nothing = torch.full((2, 4), UNKNOWN, dtype=torch.int8)
    assert balanced_pair_loss(logits, nothing).item() == 0


def test_the_dense_loss_has_its_hand_worked_value_and_skips_unknown_masks():
    # One position with a lesion, one healthy; one text of each kind.
    logits = torch.tensor([[[[2.0, -1.0]], [[-3.0, 0.5]]]])
    shares = torch.tensor([[[1.0, 0.0]]])
    known = torch.tensor([True])
    inside = softplus(-2.0) + softplus(-3.0)
    outside = softplus(-1.0) + softplus(-0.5)
    loss = dense_pair_loss(logits, shares, known, 1)
    assert loss.item() == pytest.approx((inside + outside) / 4, rel=1e-5)
    assert dense_pair_loss(logits, shares, ~known, 1).item() == 0


def test_a_lesion_without_a_mask_is_sought_at_the_highest_positions():
    logits = torch.tensor([[[[3.0, -5.0], [1.0, -9.0]]], [[[0.0] * 2] * 2]])
    loss = found_somewhere_loss(logits, torch.tensor([True, False]), share=0.5)
    assert loss.item() == pytest.approx((softplus(-3) + softplus(-1)) / 2, rel=1e-5)
    nobody = torch.tensor([False, False])
    assert found_somewhere_loss(logits, nobody, 0.5).item() == 0
