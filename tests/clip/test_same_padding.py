"""Padding by zeros in the kernel against timm's padded copy."""

import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn
from torch.testing import assert_close

from mcdrl_mmseg.clip.same_padding import SamePaddingConv2d, pads_a_copy


def depthwise(kernel_size=3, channels=6, **options) -> Conv2dSame:
    torch.manual_seed(kernel_size)
    options = dict(stride=2, groups=channels) | options
    return Conv2dSame(channels, channels, kernel_size, **options).requires_grad_(False)


def test_values_equal_those_worked_out_by_hand():
    conv = depthwise(channels=1, bias=False)
    conv.weight.fill_(1)
    images = torch.arange(16.0).view(1, 1, 4, 4)
    # Each sums the 3 x 3 pixels that begin at (0 or 2, 0 or 2); beyond them are zeros.
    expected = torch.tensor([[45.0, 39.0], [66.0, 50.0]])
    assert torch.equal(SamePaddingConv2d(conv)(images)[0, 0], expected)


@pytest.mark.parametrize('kernel_size', [3, 5, 7])
@pytest.mark.parametrize('size', [(16, 16), (15, 16), (16, 9), (7, 5), (2, 1)])
def test_the_result_equals_that_of_timm(kernel_size, size):
    conv = depthwise(kernel_size).double()
    images = torch.randn(2, 6, *size, dtype=torch.float64)
    assert_close(SamePaddingConv2d(conv)(images), conv(images), rtol=0, atol=1e-14)


def test_several_outputs_per_input_channel_give_the_result_of_timm():
    conv = Conv2dSame(3, 12, 3, stride=2, groups=3).requires_grad_(False)
    images = torch.randn(1, 3, 8, 8)
    assert_close(SamePaddingConv2d(conv)(images), conv(images))


@pytest.mark.parametrize('layout', [torch.channels_last, torch.contiguous_format])
def test_weights_keep_their_memory_layout(layout):
    conv = depthwise().to(memory_format=layout)
    assert SamePaddingConv2d(conv).weight.stride() == (
        (16, 1, 4, 1) if layout == torch.channels_last else (16, 16, 4, 1)
    )


def test_bias_is_shared_and_no_weight_is_trained():
    conv = depthwise().eval()
    ours = SamePaddingConv2d(conv)
    assert ours.bias is conv.bias and not ours.weight.requires_grad
    assert not ours.training


@pytest.mark.parametrize(
    ('conv', 'pads'),
    [
        (depthwise(), True),
        (depthwise(5), True),
        (depthwise(2), False),
        (depthwise(1), False),
        (depthwise(groups=1), False),
        (depthwise(stride=1), False),
        (depthwise(dilation=2), False),
        (nn.Conv2d(6, 6, 3, stride=2, groups=6), False),
        (depthwise().to('meta'), False),
        (nn.ReLU(), False),
    ],
    ids=['3', '5', '2', '1', 'dense', 'stride', 'dilation', 'torch', 'meta', 'relu'],
)
def test_convolutions_for_which_timm_pads_a_copy_are_recognised(conv, pads):
    assert pads_a_copy(conv) == pads
