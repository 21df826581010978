"""Losses of the pretraining against hand-worked values."""

import math

import pytest
import torch

from mcdrl_lab.pretraining.losses import caption_loss, cell_shares, region_loss


def test_one_true_caption_per_image_gives_the_loss_of_clip():
    logits = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(5)
    expected = (
        torch.nn.functional.cross_entropy(logits, labels)
        + torch.nn.functional.cross_entropy(logits.T, labels)
    ) / 2
    assert caption_loss(logits, torch.eye(5, dtype=torch.bool)) == pytest.approx(
        expected.item()
    )


def test_captions_that_are_true_of_the_same_images_share_the_target():
    # Two captions, both true of both images: the uniform distribution is best, and its
    # loss is the entropy of two equal shares.
    true = torch.ones(2, 2, dtype=torch.bool)
    assert caption_loss(torch.zeros(2, 2), true).item() == pytest.approx(math.log(2))
    logits = torch.tensor([[3.0, -3.0], [-3.0, 3.0]])
    assert caption_loss(logits, true) > math.log(2)


def test_region_loss_is_the_cross_entropy_of_class_and_healthy_tissue():
    # Two classes, two texts of healthy tissue; probabilities .4, .2, .3, .1.
    logits = torch.tensor([0.4, 0.2, 0.3, 0.1]).log().view(1, 4, 1, 1)
    for share in (0.0, 0.25, 1.0):
        loss = region_loss(logits, torch.tensor([1]), torch.tensor([[[share]]]), 2)
        expected = -(share * math.log(0.2) + (1 - share) * math.log(0.4))
        assert loss.item() == pytest.approx(expected)


def test_region_loss_pulls_lesion_free_scenes_towards_healthy_tissue():
    logits = torch.zeros(1, 3, 2, 2, requires_grad=True)
    region_loss(logits, torch.tensor([-1]), torch.zeros(1, 2, 2), 2).backward()
    assert (logits.grad[:, 2] < 0).all()
    assert (logits.grad[:, :2] > 0).all()


def test_cell_shares_counts_the_pixels_of_each_cell():
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[0, 0, :3] = True
    assert cell_shares(mask, (2, 2)).tolist() == [[[0.5, 0.25], [0.0, 0.0]]]
