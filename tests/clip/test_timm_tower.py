"""EfficientNet, the built-in CLIP's tower, against open_clip's own forward pass."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mcdrl_mmseg.clip import CLIPSpec, build_image_tower, set_output_stride
from mcdrl_mmseg.clip.model_config import get_model_config
from mcdrl_mmseg.clip.timm_tower import (
    build_timm_tower,
    dense_head,
    timm_features,
    timm_stages,
    timm_stem,
)

NAME = 'mcdrl-endo-lite0'


@pytest.fixture(scope='module')
def tower() -> nn.Module:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tower = build_image_tower(CLIPSpec(NAME)).eval()
    for module in tower.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return tower


def images(height=96, width=96) -> torch.Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def test_the_image_embedding_at_native_size_equals_that_of_open_clip(tower):
    side = get_model_config(NAME)['vision_cfg']['image_size']
    inputs = images(side, side)
    features = timm_features(tower, inputs, (), 'vanilla')
    assert_close(features.image_embedding[..., 0, 0], tower(inputs), rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize('size', [(64, 64), (96, 160), (90, 75)])
def test_the_mean_of_the_dense_map_is_the_image_embedding(tower, size):
    features = timm_features(tower, images(*size), (), 'vanilla')
    grid = tuple(-(-n // 32) for n in size)
    assert features.dense_features.shape == (2, 256, *grid)
    mean = features.dense_features.mean(dim=(2, 3))
    assert_close(mean, tower(images(*size)), rtol=1e-4, atol=1e-5)


def test_features_are_the_same_with_and_without_gradients(tower):
    double = copy.deepcopy(tower).double()
    inputs = images(90, 75).double()
    trained = timm_features(double, inputs, (1,), 'vanilla')
    assert trained.image_embedding.requires_grad
    with torch.no_grad():
        found = timm_features(double, inputs, (1,), 'vanilla')
    assert found.dense_features.is_contiguous()
    for without, usual in zip(
        (*found.levels, *found[1:]), (*trained.levels, *trained[1:]), strict=True
    ):
        assert_close(without, usual, rtol=0, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize(
    'other', [{'timm_pool': 'max'}, {'timm_pool': 'avgmax'}, {'timm_proj': 'mlp'}]
)
def test_the_image_embedding_of_another_head_equals_that_of_open_clip(other):
    config = {**get_model_config(NAME)['vision_cfg'], **other}
    tower = build_timm_tower(256, config).eval()
    features = timm_features(tower, images(), (), 'vanilla')
    embedding = features.image_embedding[..., 0, 0]
    assert_close(embedding, tower(images()), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_levels_are_the_outputs_of_the_stages(tower):
    features = timm_features(tower, images(64, 64), (0, 1, 2, 3, 4), 'vanilla')
    shapes = [tuple(level.shape[1:]) for level in features.levels]
    assert shapes == [(16, 32, 32), (24, 16, 16), (40, 8, 8), (112, 4, 4), (320, 2, 2)]
    x = images(64, 64)
    for module in timm_stem(tower):
        x = module(x)
    for stage, level in zip(timm_stages(tower), features.levels):
        for block in stage:
            x = block(x)
        assert_close(level, x)


@pytest.mark.parametrize('pool', ['avg', 'max', 'avgmax'])
@pytest.mark.parametrize('proj', ['linear', 'mlp'])
@torch.no_grad()
def test_each_position_of_the_dense_map_is_the_head_applied_to_it_alone(pool, proj):
    config = {
        **get_model_config(NAME)['vision_cfg'],
        'timm_pool': pool,
        'timm_proj': proj,
    }
    tower = build_timm_tower(256, config).eval()
    features = torch.randn(1, 1280, 2, 3)
    dense = dense_head(tower, features)
    assert dense.shape == (1, 256, 2, 3)
    for row in range(2):
        for column in range(3):
            single = features[:, :, row : row + 1, column : column + 1]
            alone = tower.head(tower.trunk.forward_head(single))
            assert_close(dense[:, :, row, column], alone, rtol=1e-4, atol=1e-5)


def test_gradients_are_the_same_with_gradient_checkpointing(tower):
    weight = tower.trunk.blocks[3][0].conv_pw.weight
    gradients = []
    for with_cp in (False, True):
        tower.zero_grad()
        features = timm_features(tower, images(64, 64), (), 'vanilla', with_cp)
        features.dense_features.square().mean().backward()
        gradients.append(weight.grad.clone())
    assert_close(*gradients)


@torch.no_grad()
@pytest.mark.parametrize(('stride', 'side'), [(32, 3), (16, 6), (8, 12)])
def test_replacing_stride_by_dilation_gives_finer_maps_with_the_same_weights(
    stride, side
):
    torch.manual_seed(0)
    tower = build_image_tower(CLIPSpec(NAME)).eval()
    before = {key: value.clone() for key, value in tower.state_dict().items()}
    set_output_stride(tower, stride)
    dense = timm_features(tower, images(), (), 'vanilla').dense_features
    assert dense.shape[2:] == (side, side)
    assert all(torch.equal(v, before[k]) for k, v in tower.state_dict().items())


@torch.no_grad()
def test_constant_features_come_out_the_same_at_every_stride():
    # Where all inputs are equal, dilation changes nothing far from the border.
    inputs = torch.full((1, 112, 64, 64), 0.3)
    maps = []
    for stride in (32, 16):
        torch.manual_seed(0)
        tower = build_image_tower(CLIPSpec(NAME)).eval()
        set_output_stride(tower, stride)
        maps.append(tower.trunk.blocks[5:](inputs))
    assert [m.shape[2] for m in maps] == [32, 64]
    middle = [m[0, :, m.shape[2] // 2, m.shape[3] // 2] for m in maps]
    assert_close(*middle)


def test_an_unsupported_output_stride_is_an_error(tower):
    with pytest.raises(ValueError, match='output_stride=4'):
        set_output_stride(tower, 4)


def test_changing_the_output_stride_of_convnext_is_refused():
    with torch.device('meta'):
        convnext = build_image_tower(CLIPSpec('convnext_tiny'))
    with pytest.raises(ValueError, match=r'output_stride=16: .* ConvNeXt is fixed'):
        set_output_stride(convnext, 16)
