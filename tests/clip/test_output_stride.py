"""Dilated ResNet towers: finer maps, the same values at the coarse positions."""

import pytest
import torch
from open_clip.modified_resnet import ModifiedResNet

from mcdrl_mmseg.clip.output_stride import DensePool, set_output_stride
from mcdrl_mmseg.clip.tower_features import resnet_features


def tower(output_stride=32):
    torch.manual_seed(0)
    net = ModifiedResNet((1, 1, 2, 2), 8, 2, image_size=64, width=4).eval()
    set_output_stride(net, output_stride)
    return net


def test_dense_pool_averages_four_values_a_dilation_apart():
    inputs = torch.arange(16.0).view(1, 1, 4, 4)
    pooled = DensePool(2)(inputs)[0, 0]
    assert pooled.shape == (4, 4)
    assert pooled[1, 0].item() == (4 + 6 + 12 + 14) / 4
    # Beyond the border the last value is repeated.
    assert pooled[3, 3].item() == 15


@pytest.mark.parametrize('output_stride', [16, 8])
def test_the_map_is_finer_and_equals_the_coarse_one_where_both_have_values(
    output_stride,
):
    images = torch.randn(1, 3, 512, 512, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        coarse = resnet_features(tower(), images, (3,), 'maskclip')
        fine = resnet_features(tower(output_stride), images, (3,), 'maskclip')
    step = 32 // output_stride
    assert fine.dense_features.shape[-1] == step * coarse.dense_features.shape[-1]
    # Padding makes the border differ.
    inner = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(
        fine.dense_features[..., ::step, ::step][inner], coarse.dense_features[inner]
    )


def test_output_stride_32_leaves_the_tower_unchanged():
    images = torch.randn(1, 3, 64, 64)
    torch.manual_seed(0)
    plain = ModifiedResNet((1, 1, 2, 2), 8, 2, image_size=64, width=4).eval()
    assert torch.equal(plain(images), tower(32)(images))


def test_state_dict_has_the_same_keys_at_every_stride():
    assert tower(8).state_dict().keys() == tower().state_dict().keys()


def test_an_unsupported_output_stride_is_refused():
    with pytest.raises(ValueError, match='output_stride=4'):
        tower(4)
