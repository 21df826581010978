"""Towers with folded batch norms against the original towers."""

import copy

import pytest
import timm
import torch
from mmcv.cnn import fuse_conv_bn
from timm.layers import Conv2dSame
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.testing import assert_close

from mcdrl_mmseg.clip import CLIPSpec, build_image_tower
from mcdrl_mmseg.clip.folded_tower import can_fold, fold_norms
from mcdrl_mmseg.clip.same_padding import SamePaddingConv2d

NAMES = ('mcdrl-endo-lite0', 'mcdrl-tiny-rn')
SIZES = {'mcdrl-endo-lite0': (90, 75), 'mcdrl-tiny-rn': (128, 128)}


def settled(tower: nn.Module) -> nn.Module:
    """The tower in evaluation mode, with batch norms as after training."""
    for module in tower.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    return tower.eval()


@pytest.fixture(params=NAMES)
def tower(request) -> nn.Module:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return settled(build_image_tower(CLIPSpec(request.param)))


@pytest.fixture
def images(tower) -> torch.Tensor:
    size = (90, 75) if hasattr(tower, 'trunk') else (128, 128)
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def test_a_folded_tower_gives_the_output_of_the_original(tower, images):
    expected = tower(images)
    scale = expected.std()
    assert_close(fold_norms(tower)(images), expected, rtol=0, atol=1e-5 * scale)
    double, images = copy.deepcopy(tower).double(), images.double()
    expected = double(images)
    assert_close(fold_norms(double)(images), expected, rtol=0, atol=1e-12 * scale)


@torch.no_grad()
def test_folding_removes_every_norm_and_keeps_every_activation(tower):
    folded = fold_norms(tower)
    assert not any(isinstance(module, _BatchNorm) for module in folded.modules())

    def activations(model: nn.Module) -> int:
        kinds = nn.ReLU | nn.ReLU6
        return sum(isinstance(module, kinds) for module in model.modules())

    assert activations(folded) == activations(tower) > 10


@torch.no_grad()
def test_folding_leaves_the_original_tower_unchanged(tower, images):
    before, result = copy.deepcopy(tower.state_dict()), tower(images)
    fold_norms(tower)(images)
    after = tower.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in after.items())
    assert torch.equal(tower(images), result)
    assert all(parameter.requires_grad for parameter in tower.parameters())


@torch.no_grad()
@pytest.mark.parametrize('layout', [torch.channels_last, torch.contiguous_format])
def test_folded_weights_keep_the_memory_layout_of_the_tower(tower, layout):
    tower = tower.to(memory_format=layout)
    own = dict(fold_norms(tower).named_parameters())
    strides = {
        (own[name].stride(), weight.stride())
        for name, weight in tower.named_parameters()
        if weight.ndim == 4 and own[name].shape == weight.shape
    }
    assert len(strides) > 10 and all(ours == theirs for ours, theirs in strides)


def test_depthwise_convolutions_no_longer_pad_a_copy():
    folded = fold_norms(build_image_tower(CLIPSpec('mcdrl-endo-lite0')))
    kinds = [type(module) for module in folded.modules()]
    assert kinds.count(Conv2dSame) == 1  # the stem, which mixes channels
    assert kinds.count(SamePaddingConv2d) == 4


@torch.no_grad()
def test_all_weights_but_those_of_convolutions_are_shared_with_the_tower(tower):
    folded = fold_norms(tower)
    ours = {id(weight) for weight in tower.parameters()}
    for module in folded.modules():
        shared = not isinstance(module, nn.Conv2d)
        for weight in module.parameters(recurse=False):
            assert (id(weight) in ours) == shared
            assert shared or not weight.requires_grad


@torch.no_grad()
def test_fuse_conv_bn_of_mmcv_is_wrong_for_norms_with_an_activation():
    torch.manual_seed(0)
    trunk = timm.create_model('tf_efficientnet_lite0', num_classes=0)
    trunk, images = settled(trunk), torch.randn(1, 3, 64, 64)
    expected, scale = trunk(images), trunk(images).std()
    assert (fuse_conv_bn(copy.deepcopy(trunk))(images) - expected).abs().max() > scale


@torch.no_grad()
@pytest.mark.parametrize('name', ['tf_efficientnet_lite0', 'tf_efficientnetv2_b0'])
def test_other_efficientnets_are_folded_too(name):
    torch.manual_seed(0)
    trunk = settled(timm.create_model(name, num_classes=0))
    images = torch.randn(1, 3, 64, 64)
    expected, result = trunk(images), fold_norms(trunk)(images)
    assert_close(result, expected, rtol=0, atol=1e-5 * expected.abs().max())


def test_norms_not_behind_a_convolution_or_without_statistics_are_not_folded():
    tower = nn.Module()
    tower.conv, tower.act = nn.Conv2d(3, 4, 1), nn.ReLU()
    tower.bn, tower.bare = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)
    tower.instance = nn.BatchNorm2d(4, track_running_stats=False)
    folded = fold_norms(tower.eval())
    assert [type(module) for module in folded.children()] == [
        type(module) for module in tower.children()
    ]


@pytest.mark.parametrize(
    ('name', 'folds'),
    [('mcdrl-endo-lite0', True), ('mcdrl-tiny-rn', True), ('mcdrl-tiny-vit', False)],
)
def test_only_towers_with_batch_norms_can_be_folded(name, folds):
    assert can_fold(build_image_tower(CLIPSpec(name))) == folds
