import math

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from torch.testing import assert_close

from mcdrl_mmseg.models import CLIPContrastiveLoss

NO_BACKGROUND = torch.zeros(0, 2)
CLASSES = torch.eye(2)


def present(*rows) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.bool)


def test_loss_of_two_classes_equals_values_worked_out_by_hand():
    """Cosines 1 and 0 at temperature 0.5: -log(e^2 / (e^2 + 1))."""
    loss = CLIPContrastiveLoss(loss_weight=1.0)
    image = torch.tensor([[7.0, 0.0]])  # normalised by the loss
    right = loss(image, CLASSES, NO_BACKGROUND, present([1, 0])).item()
    wrong = loss(image, CLASSES, NO_BACKGROUND, present([0, 1])).item()
    assert right == pytest.approx(math.log(1 + math.exp(-2)))
    assert wrong == pytest.approx(math.log(1 + math.exp(2)))


def test_the_temperature_divides_the_cosines_and_the_weight_multiplies_the_loss():
    loss = CLIPContrastiveLoss(temperature=0.25, loss_weight=0.1)
    image = torch.tensor([[1.0, 0.0]])
    result = loss(image, CLASSES, NO_BACKGROUND, present([1, 0])).item()
    assert result == pytest.approx(0.1 * math.log(1 + math.exp(-4)), rel=1e-4)


def test_several_classes_give_the_mean_of_their_terms():
    loss = CLIPContrastiveLoss(loss_weight=1.0)
    image = torch.tensor([[1.0, 0.0]])
    both = loss(image, CLASSES, NO_BACKGROUND, present([1, 1])).item()
    terms = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))
    assert both == pytest.approx(sum(terms) / 2)


def test_an_image_without_lesion_is_pulled_towards_the_background():
    """One class at cosine 0 and the background's mean direction at cosine 1."""
    loss = CLIPContrastiveLoss(loss_weight=1.0)
    background = torch.tensor([[1.0, 1.0], [1.0, -1.0]])  # mean direction (1, 0)
    image = torch.tensor([[2.0, 0.0]])
    texts = torch.tensor([[0.0, 1.0]])
    free = loss(image, texts, background, present([0])).item()
    lesion = loss(image, texts, background, present([1])).item()
    assert free == pytest.approx(math.log(1 + math.exp(-2)))
    assert lesion == pytest.approx(math.log(1 + math.exp(2)))


def test_an_image_without_a_label_is_not_pulled_towards_the_background():
    """Of three images without a lesion the second may hold one."""
    loss = CLIPContrastiveLoss(loss_weight=1.0)
    background = torch.tensor([[1.0, 0.0]])
    texts = torch.tensor([[0.0, 1.0]])
    images = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    result = loss(
        images,
        texts,
        background,
        present([0], [0], [0]),
        torch.tensor([True, False, True]),
    )
    assert result.item() == pytest.approx(math.log(1 + math.exp(-2)))


def test_loss_of_a_single_class_without_background_is_zero():
    image = torch.randn(3, 2, requires_grad=True)
    loss = CLIPContrastiveLoss()(
        image, torch.tensor([[1.0, 0.0]]), NO_BACKGROUND, present([1], [0], [1])
    )
    loss.backward()
    assert loss.item() == 0
    assert image.grad.abs().max() == 0


def test_without_background_images_without_lesion_are_left_out():
    loss = CLIPContrastiveLoss(loss_weight=1.0)
    images = torch.tensor([[1.0, 0.0], [0.3, 0.7]])
    result = loss(images, CLASSES, NO_BACKGROUND, present([1, 0], [0, 0]))
    assert result.item() == pytest.approx(math.log(1 + math.exp(-2)))


def test_batch_without_anything_to_compare_gives_zero_and_zero_gradients():
    image = torch.randn(2, 2, requires_grad=True)
    loss = CLIPContrastiveLoss()(image, CLASSES, NO_BACKGROUND, present([0, 0], [0, 0]))
    loss.backward()
    assert loss.item() == 0
    assert image.grad.tolist() == [[0, 0], [0, 0]]


def test_loss_equals_a_float64_reference_on_random_input():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(5, 8, generator=generator)
    texts = torch.randn(3, 8, generator=generator)
    background = torch.randn(2, 8, generator=generator)
    classes = present([1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 1], [1, 1, 1])

    def unit(x):
        return x / np.linalg.norm(x, axis=-1, keepdims=True)

    candidates = unit(texts.double().numpy())
    mean = unit(unit(background.double().numpy()).mean(axis=0))
    candidates = np.vstack([candidates, mean])
    losses = []
    for image, row in zip(unit(images.double().numpy()), classes.tolist()):
        logits = candidates @ image / 0.5
        log_p = logits - np.log(np.exp(logits).sum())
        positives = [k for k, there in enumerate(row) if there] or [3]
        losses.append(-np.mean([log_p[k] for k in positives]))
    loss = CLIPContrastiveLoss(loss_weight=0.1)
    result = loss(images, texts, background, classes).item()
    assert result == pytest.approx(0.1 * np.mean(losses), rel=1e-5)


def test_the_loss_is_divided_by_the_mean_count_over_processes(monkeypatch):
    """This process has 1 image that takes part; the mean over processes is 2."""
    monkeypatch.setattr(
        'mcdrl_mmseg.models.losses.causal_alignment_loss.all_reduce',
        lambda tensor, op: tensor.mul_(2),
    )
    loss = CLIPContrastiveLoss(loss_weight=1.0)
    result = loss(torch.tensor([[1.0, 0.0]]), CLASSES, NO_BACKGROUND, present([1, 0]))
    assert result.item() == pytest.approx(math.log(1 + math.exp(-2)) / 2)


def test_half_precision_embeddings_are_compared_in_single_precision():
    loss = CLIPContrastiveLoss(loss_weight=1.0)
    image = torch.tensor([[1.0, 0.01]])
    result = loss(image.half(), CLASSES.half(), NO_BACKGROUND, present([1, 0]))
    expected = loss(image, CLASSES, NO_BACKGROUND, present([1, 0]))
    assert result.dtype == torch.float32
    assert_close(result, expected, rtol=1e-4, atol=0)


def test_a_zero_embedding_gives_finite_gradients():
    image = torch.zeros(1, 2, requires_grad=True)
    CLIPContrastiveLoss()(image, CLASSES, NO_BACKGROUND, present([1, 0])).backward()
    assert image.grad.isfinite().all()


@pytest.mark.parametrize('temperature', [0, -1.0])
def test_temperature_that_is_not_positive_is_an_error(temperature):
    with pytest.raises(ValueError, match='CLIPContrastiveLoss: temperature='):
        CLIPContrastiveLoss(temperature)


def test_the_loss_name_has_a_default_and_can_be_chosen():
    assert MODELS.build(dict(type='CLIPContrastiveLoss')).loss_name == 'loss_contrast'
    assert CLIPContrastiveLoss(loss_name='loss_other').loss_name == 'loss_other'
