import pytest
import torch
from mmseg.registry import MODELS
from torch.testing import assert_close

from mcdrl_mmseg.models import CausalAlignmentLoss
from mcdrl_mmseg.models.losses.causal_alignment_loss import masked_mean

# t_km of two classes and two confounders; their means are (1, 0) and (0, 2).
EMBEDDINGS = torch.tensor([[[2.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 3.0]]])


def classes(*rows) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.bool)


def test_loss_of_one_class_is_the_squared_distance_to_its_mean_over_confounders():
    pooled = torch.tensor([[3.0, 4.0]])
    loss = CausalAlignmentLoss(loss_weight=1.0)
    # (3 - 1)^2 + 4^2 and 3^2 + (4 - 2)^2
    assert loss(pooled, EMBEDDINGS, classes([1, 0])).item() == 20
    assert loss(pooled, EMBEDDINGS, classes([0, 1])).item() == 13


def test_the_target_of_several_classes_is_the_mean_of_their_targets():
    pooled = torch.tensor([[0.5, 4.0]])
    loss = CausalAlignmentLoss(loss_weight=1.0)
    assert loss(pooled, EMBEDDINGS, classes([1, 1])).item() == 9  # to (0.5, 1)


def test_loss_of_a_batch_is_the_mean_over_images_with_a_lesion_times_the_weight():
    pooled = torch.tensor([[3.0, 4.0], [100.0, 100.0], [3.0, 4.0]])
    loss = CausalAlignmentLoss()(pooled, EMBEDDINGS, classes([1, 0], [0, 0], [0, 1]))
    assert loss.item() == pytest.approx(0.5 * (20 + 13) / 2)


def test_loss_equals_a_float64_reference_on_random_input():
    generator = torch.Generator().manual_seed(0)
    pooled = torch.randn(6, 8, generator=generator)
    embeddings = torch.randn(3, 4, 8, generator=generator)
    present = torch.rand(6, 3, generator=generator) > 0.5
    distances = []
    for feature, row in zip(pooled.double(), present):
        if row.any():
            target = embeddings.double()[row].mean(dim=(0, 1))
            distances.append(((feature - target) ** 2).sum())
    expected = 0.3 * torch.stack(distances).mean()
    loss = CausalAlignmentLoss(loss_weight=0.3)(pooled, embeddings, present)
    assert_close(loss.double(), expected, rtol=1e-5, atol=0)


def test_normalised_form_compares_directions():
    loss = CausalAlignmentLoss(normalize=True, loss_weight=1.0)
    embeddings = EMBEDDINGS * 5
    # (0.6, 0.8) against (1, 0): 0.16 + 0.64.
    result = loss(torch.tensor([[3.0, 4.0]]), embeddings, classes([1, 0]))
    assert result.item() == pytest.approx(0.8)
    same = loss(torch.tensor([[0.0, 9.0]]), embeddings, classes([0, 1]))
    assert same.item() == pytest.approx(0)


def test_a_batch_without_any_lesion_gives_gradients_of_zero():
    pooled = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    for normalize in (False, True):
        pooled.grad = None
        loss = CausalAlignmentLoss(normalize)
        loss(pooled, EMBEDDINGS, classes([0, 0], [0, 0])).backward()
        assert pooled.grad.tolist() == [[0, 0], [0, 0]]


def test_an_image_without_lesion_has_no_influence_even_if_it_is_not_finite():
    pooled = torch.tensor([[3.0, 4.0], [float('inf'), 0.0]], requires_grad=True)
    loss = CausalAlignmentLoss(loss_weight=1.0)
    result = loss(pooled, EMBEDDINGS, classes([1, 0], [0, 0]))
    assert result.item() == 20
    result.backward()
    assert pooled.grad[0].tolist() == [4, 8]


def test_gradient_is_twice_the_difference_divided_by_the_number_of_images():
    pooled = torch.tensor([[3.0, 4.0], [1.0, 1.0]], requires_grad=True)
    loss = CausalAlignmentLoss(loss_weight=1.0)
    loss(pooled, EMBEDDINGS, classes([1, 0], [1, 0])).backward()
    assert pooled.grad.tolist() == [[2, 4], [0, 1]]


def test_half_precision_features_are_compared_in_single_precision():
    pooled = torch.full((1, 64), 200.0, dtype=torch.float16)
    loss = CausalAlignmentLoss(loss_weight=1.0)
    result = loss(pooled, torch.zeros(1, 1, 64), classes([1]))
    assert result.item() == 64 * 200**2  # beyond float16's 65504


def test_the_mean_loss_over_processes_is_the_loss_of_the_joint_batch(
    monkeypatch,
):
    """Two processes of 3 and 1 images with lesion: the divisor is 2 in both."""
    values = torch.tensor([1.0, 2.0, 6.0, 7.0])
    masks = {0: [1, 1, 1, 0], 1: [0, 0, 0, 1]}
    calls = []

    def all_reduce(tensor, op):
        calls.append(op)
        tensor.fill_((3 + 1) / 2)

    monkeypatch.setattr(
        'mcdrl_mmseg.models.losses.causal_alignment_loss.all_reduce', all_reduce
    )
    means = [
        masked_mean(values, torch.tensor(masks[rank], dtype=torch.bool)).item()
        for rank in (0, 1)
    ]
    assert calls == ['mean', 'mean']
    assert means == [4.5, 3.5]
    assert sum(means) / 2 == (1 + 2 + 6 + 7) / 4


def test_a_process_without_lesions_gives_zero_while_another_has_some(monkeypatch):
    monkeypatch.setattr(
        'mcdrl_mmseg.models.losses.causal_alignment_loss.all_reduce',
        lambda tensor, op: tensor.fill_(0.5),
    )
    values = torch.tensor([4.0, 6.0], requires_grad=True)
    result = masked_mean(values, torch.tensor([False, False]))
    result.backward()
    assert result.item() == 0
    assert values.grad.tolist() == [0, 0]


def test_the_loss_name_has_a_default_and_can_be_chosen():
    loss = MODELS.build(dict(type='CausalAlignmentLoss'))
    assert loss.loss_name == 'loss_causal'
    assert CausalAlignmentLoss(loss_name='loss_other').loss_name == 'loss_other'
