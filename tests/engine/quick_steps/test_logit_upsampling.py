"""Logits enlarged by matrix products against torch's interpolation."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models.decode_heads import FCNHead, decode_head
from mmseg.models.utils import resize
from mmseg.structures import SegDataSample
from torch.nn import functional as F
from torch.testing import assert_close

from mcdrl_mmseg.engine.quick_steps.logit_upsampling import (
    quick_logit_upsampling,
    upsample_bilinear,
)


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    'sides',
    [((3, 5), (12, 20)), ((1, 4), (9, 31)), ((7, 2), (28, 8)), ((4, 4), (4, 4))],
)
def test_values_and_gradients_equal_those_of_torch(sides, layout):
    small, large = sides
    torch.manual_seed(0)
    maps = torch.randn(2, 3, *small, dtype=torch.float64)
    maps = maps.to(memory_format=layout).requires_grad_()
    weights = torch.randn(2, 3, *large, dtype=torch.float64)
    results = []
    for enlarged in (
        upsample_bilinear(maps, large),
        F.interpolate(maps, size=large, mode='bilinear', align_corners=False),
    ):
        (gradient,) = torch.autograd.grad((enlarged * weights).sum(), maps)
        results.append((enlarged, gradient))
    assert_close(*results)


def test_a_line_of_two_values_equals_that_worked_out_by_hand():
    # Centres of 8 pixels lie at -0.375, -0.125, 0.125, ... of the two values.
    maps = torch.tensor([[[[0.0, 8.0]]]])
    assert upsample_bilinear(maps, (1, 8)).tolist() == [[[[0, 0, 1, 3, 5, 7, 8, 8]]]]


def test_upsampling_stays_in_float32_under_autocast():
    maps = torch.randn(1, 2, 3, 3)
    with torch.autocast('cpu', torch.bfloat16):
        enlarged = upsample_bilinear(maps, (12, 12))
    assert enlarged.dtype == torch.float32
    assert_close(enlarged, resize(maps, (12, 12), mode='bilinear', align_corners=False))


@pytest.fixture
def stock_calls(monkeypatch):
    """The sizes in calls of mmseg's ``resize``."""
    calls = []

    def noted(*args, **kwargs):
        calls.append(kwargs.get('size'))
        return resize(*args, **kwargs)

    monkeypatch.setattr(decode_head, 'resize', noted)
    return calls


@pytest.fixture
def head():
    torch.manual_seed(0)
    return FCNHead(
        in_channels=3,
        in_index=0,
        channels=4,
        num_convs=1,
        num_classes=2,
        dropout_ratio=0,
        align_corners=False,
        norm_cfg=dict(type='BN'),
    )


def loss_and_gradient(head: FCNHead) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    maps = torch.randn(2, 3, 5, 5, generator=generator)
    labels = torch.randint(2, (2, 1, 40, 40), generator=generator)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=each)) for each in labels]
    loss = head.loss([maps], samples, None)['loss_ce']
    (gradient,) = torch.autograd.grad(loss, head.conv_seg.weight)
    return loss, gradient


def test_a_head_has_the_same_loss_and_gradient_as_with_mmseg(head, stock_calls):
    expected = loss_and_gradient(head)
    assert len(stock_calls) == 1
    with quick_logit_upsampling():
        found = loss_and_gradient(head)
    assert len(stock_calls) == 1
    assert_close(found, expected)


def test_the_upsampling_of_mmseg_is_restored_even_after_an_error(head, stock_calls):
    with pytest.raises(KeyError), quick_logit_upsampling():
        raise KeyError
    loss_and_gradient(head)
    assert len(stock_calls) == 1


@torch.no_grad()
def test_a_validation_predicts_the_same_as_a_test_to_the_last_bit(head, stock_calls):
    maps, meta = [torch.randn(1, 3, 5, 5)], [dict(img_shape=(40, 40))]
    expected = head.eval().predict(maps, meta, None)
    with quick_logit_upsampling():
        assert torch.equal(head.predict(maps, meta, None), expected)
    assert len(stock_calls) == 2


@pytest.mark.parametrize(
    'change',
    [
        dict(size=(9, 12)),
        dict(mode='nearest', align_corners=None),
        dict(align_corners=True),
        dict(size=None, scale_factor=4),
    ],
    ids=['less than fourfold', 'nearest', 'aligned corners', 'by a factor'],
)
def test_other_kinds_of_resizing_are_left_to_mmseg(change, stock_calls):
    maps = torch.randn(1, 2, 3, 3, requires_grad=True)
    arguments = dict(input=maps, size=(12, 12), mode='bilinear', align_corners=False)
    with quick_logit_upsampling():
        decode_head.resize(**arguments)
        assert not stock_calls
        decode_head.resize(**{**arguments, **change})
        decode_head.resize(**{**arguments, 'input': maps.bfloat16()})
        decode_head.resize(**{**arguments, 'input': maps.detach()})
        decode_head.resize(maps, (12, 12), None, 'bilinear', False)
    assert len(stock_calls) == 4
