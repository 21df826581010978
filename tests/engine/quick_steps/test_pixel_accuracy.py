"""The quick accuracy against MMSegmentation's."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models.decode_heads import FCNHead, decode_head
from mmseg.models.losses import accuracy
from mmseg.structures import SegDataSample
from torch.testing import assert_close

from mcdrl_mmseg.engine.quick_steps.pixel_accuracy import (
    pixel_accuracy,
    quick_pixel_accuracy,
)

IGNORED = 255


def drawn(classes: int, ignored: float = 0.3) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels, some of them ignored."""
    generator = torch.Generator().manual_seed(classes)
    logits = torch.randn(3, classes, 9, 7, generator=generator)
    labels = torch.randint(classes, (3, 9, 7), generator=generator)
    labels[torch.rand(3, 9, 7, generator=generator) < ignored] = IGNORED
    return logits, labels


@pytest.mark.parametrize('ignored', [0.0, 0.3, 1.0], ids=['none', 'some', 'all'])
@pytest.mark.parametrize('classes', [2, 6])
def test_the_quick_accuracy_equals_that_of_mmseg(classes, ignored):
    logits, labels = drawn(classes, ignored)
    expected = accuracy(logits, labels, ignore_index=IGNORED)
    assert_close(pixel_accuracy(logits, labels, IGNORED), expected)


def test_a_class_can_be_ignored():
    logits, labels = drawn(3, ignored=0.0)
    expected = accuracy(logits, labels, ignore_index=2)
    assert_close(pixel_accuracy(logits, labels, 2), expected)


def test_pixels_are_counted_exactly_in_half_precision():
    logits = torch.zeros(1, 2, 300, 300, dtype=torch.bfloat16)
    logits[:, 1] = 1
    labels = torch.ones(1, 300, 300, dtype=torch.long)
    labels[0, 0, 0] = 0
    share = pixel_accuracy(logits, labels, IGNORED)
    assert_close(share, torch.tensor([100 * (1 - 1 / 90000)]))


def losses_of(head: FCNHead) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    maps = torch.randn(2, 3, 5, 5, generator=generator)
    labels = torch.randint(head.num_classes, (2, 1, 11, 11), generator=generator)
    labels[:, :, :3] = IGNORED
    samples = [SegDataSample(gt_sem_seg=PixelData(data=each)) for each in labels]
    return head.loss([maps], samples, None)


@pytest.fixture
def head():
    """A stock head whose passes all give the same result."""
    torch.manual_seed(0)
    return FCNHead(
        in_channels=3,
        in_index=0,
        channels=4,
        num_convs=1,
        num_classes=2,
        dropout_ratio=0,
        norm_cfg=dict(type='BN'),
    )


@pytest.fixture
def stock_calls(monkeypatch):
    """Arguments of the calls of mmseg's accuracy."""
    calls = []

    def noted(*args, **kwargs):
        calls.append(SimpleNamespace(args=args, kwargs=kwargs))
        return accuracy(*args, **kwargs)

    monkeypatch.setattr(decode_head, 'accuracy', noted)
    return calls


def test_a_head_logs_the_same_without_a_call_of_the_accuracy_of_mmseg(
    head, stock_calls
):
    expected = losses_of(head)
    assert len(stock_calls) == 1
    with quick_pixel_accuracy():
        found = losses_of(head)
    assert len(stock_calls) == 1
    assert_close(found, expected)
    assert found['loss_ce'].item() == expected['loss_ce'].item()


def test_the_accuracy_of_mmseg_is_restored_even_after_an_error(head, stock_calls):
    with pytest.raises(KeyError), quick_pixel_accuracy():
        raise KeyError
    losses_of(head)
    assert len(stock_calls) == 1


def test_one_channel_and_other_arguments_are_left_to_mmseg(stock_calls):
    logits, labels = drawn(3)
    with quick_pixel_accuracy():
        decode_head.accuracy(logits[:, :1], labels, ignore_index=IGNORED)
        decode_head.accuracy(logits, labels, topk=2, ignore_index=IGNORED)
        decode_head.accuracy(logits, labels)
    assert len(stock_calls) == 3
