import pytest
import torch
from mmseg.models.losses import TverskyLoss
from mmseg.registry import MODELS
from torch.testing import assert_close

from mcdrl_mmseg.models import VectorizedTverskyLoss


def logits_of(probabilities) -> torch.Tensor:
    """(1, 2, 1, W) of the probability of class 1."""
    lesion = torch.tensor(probabilities).view(1, 1, 1, -1)
    return torch.cat([1 - lesion, lesion], dim=1).log()


def test_loss_of_two_pixels_equals_the_value_worked_out_by_hand():
    """Lesion: TP 0.8, FP 0.4, FN 0.2; background: TP 0.6, FP 0.2, FN 0.4.

    1 - (0.8 + 1) / (0.8 + 0.75 * 0.4 + 0.25 * 0.2 + 1) = 1 - 1.8 / 2.15 and
    1 - (0.6 + 1) / (0.6 + 0.75 * 0.2 + 0.25 * 0.4 + 1) = 1 - 1.6 / 1.85.
    """
    loss = VectorizedTverskyLoss(alpha=0.75, beta=0.25)
    result = loss(logits_of([0.8, 0.4]), torch.tensor([[[1, 0]]]))
    expected = ((1 - 1.8 / 2.15) + (1 - 1.6 / 1.85)) / 2
    assert result.item() == pytest.approx(expected, rel=1e-6)


def test_an_ignored_pixel_has_no_influence():
    loss = VectorizedTverskyLoss(alpha=0.5, beta=0.5)
    pair = loss(logits_of([0.8, 0.4]), torch.tensor([[[1, 0]]]))
    three = loss(logits_of([0.8, 0.4, 0.9]), torch.tensor([[[1, 0, 255]]]))
    assert_close(three, pair)


@pytest.mark.parametrize(
    ('classes', 'arguments'),
    [
        (3, dict(alpha=0.5, beta=0.5)),
        (3, dict(alpha=0.3, beta=0.7, smooth=2, loss_weight=0.4)),
        (3, dict(alpha=0.5, beta=0.5, class_weight=[0.2, 1.5, 1.0])),
        (3, dict(alpha=0.5, beta=0.5, ignore_index=1)),
        (2, dict(alpha=0.3, beta=0.7, class_weight=[0.2, 1.5])),
        (2, dict(alpha=0.5, beta=0.5, ignore_index=0)),
        (2, dict(alpha=0.5, beta=0.5, ignore_index=1)),
    ],
    ids=str,
)
def test_value_and_gradient_are_those_of_mmsegs_loss(classes, arguments):
    torch.manual_seed(0)
    # A label beyond the classes counts as the last.
    labels = torch.randint(0, classes + 1, (4, 9, 7))
    labels[torch.rand(labels.shape) < 0.1] = arguments.get('ignore_index', 255)
    results = []
    for kind in (TverskyLoss, VectorizedTverskyLoss):
        logits = torch.randn(
            (4, classes, 9, 7),
            generator=torch.Generator().manual_seed(1),
            requires_grad=True,
        )
        value = kind(**arguments)(logits, labels, ignore_index=255)
        value.backward()
        results.append((value.detach(), logits.grad))
    assert_close(results[1][0], results[0][0], rtol=1e-6, atol=0)
    assert_close(results[1][1], results[0][1], rtol=1e-4, atol=1e-8)


def test_it_is_built_like_mmsegs_loss_and_takes_a_loss_name():
    loss = MODELS.build(
        dict(type='VectorizedTverskyLoss', alpha=0.5, beta=0.5, loss_name='loss_dice')
    )
    assert loss.loss_name == 'loss_dice'
    assert isinstance(loss, TverskyLoss)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_mixed_precision_does_not_lose_precision_in_sums_over_pixels(dtype):
    # 300 x 300 pixels: their number exceeds float16.
    logits = torch.randn(1, 2, 300, 300, generator=torch.Generator().manual_seed(0))
    logits = logits.to(dtype)
    labels = torch.zeros(1, 300, 300, dtype=torch.long)
    labels[:, :10] = 1
    loss = VectorizedTverskyLoss(alpha=0.5, beta=0.5)
    expected = TverskyLoss(alpha=0.5, beta=0.5)(logits.double(), labels)
    with torch.autocast('cpu', torch.bfloat16):
        found = loss(logits, labels)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)
