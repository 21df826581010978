"""A timm tower in CLIPVisionBackbone and as a guide."""

import copy

import pytest
import torch
from mmengine.model import convert_sync_batchnorm
from torch.nn.modules.batchnorm import _BatchNorm

from mcdrl_mmseg.models import CLIPGuidedBackbone, CLIPVisionBackbone

NAME = 'mcdrl-endo-lite0'
EFFICIENTNET = dict(
    model_name='efficientnet_lite0', features_only=True, pretrained=False
)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def backbone(**kwargs) -> CLIPVisionBackbone:
    return CLIPVisionBackbone(NAME, **{'dense_mode': 'vanilla', **kwargs})


def test_output_is_the_levels_then_the_dense_map_then_the_embedding():
    model = backbone(out_indices=(1, 2, -2, -1)).eval()
    with torch.no_grad():
        *levels, dense, embedding = model(torch.randn(2, 3, 64, 96))
    shapes = [tuple(level.shape[1:]) for level in levels]
    assert shapes == [(24, 16, 24), (40, 8, 12), (112, 4, 6), (320, 2, 3)]
    assert dense.shape == (2, 256, 2, 3)
    assert embedding.shape == (2, 256, 1, 1)


@pytest.mark.parametrize('mode', ['maskclip', 'sclip', 'clearclip'])
def test_a_dense_mode_that_needs_attention_is_an_error_that_lists_the_modes(mode):
    with pytest.raises(ValueError, match=r"must be one of \('vanilla',\)"):
        backbone(dense_mode=mode)


def test_an_output_stride_makes_the_dense_map_finer():
    model = backbone(output_stride=16).eval()
    with torch.no_grad():
        dense, _ = model(torch.randn(1, 3, 64, 64))
    assert dense.shape[2:] == (4, 4)


def test_frozen_stages_are_the_stem_and_the_first_stages():
    model = backbone(frozen_stages=2).train()
    trunk = model.tower.trunk
    frozen = [trunk.conv_stem, trunk.bn1, *trunk.blocks[:2]]
    assert not any(p.requires_grad for m in frozen for p in m.parameters())
    assert all(p.requires_grad for p in trunk.blocks[2:].parameters())
    assert not any(m.training for m in trunk.blocks[1].modules())
    assert all(
        m.training for m in trunk.blocks[5].modules() if isinstance(m, _BatchNorm)
    )


def test_every_parameter_of_a_trained_tower_gets_a_gradient():
    model = backbone(out_indices=(4,)).train()
    level, dense, embedding = model(torch.randn(2, 3, 64, 64))
    (level.sum() + dense.square().sum() + embedding.sum()).backward()
    assert all(p.grad is not None for p in model.parameters())


def synchronised(model):
    """As MMEngine's runner does for ``sync_bn='torch'``, in several processes."""
    return convert_sync_batchnorm(copy.deepcopy(model))


@pytest.mark.parametrize('frozen', [False, True])
def test_synchronised_norms_keep_their_activations(frozen):
    """MMEngine's are plain norms: outputs would be thousands of times larger."""
    plain = backbone(out_indices=(1, 4), frozen=frozen)
    model, images = synchronised(plain), torch.randn(2, 3, 64, 64)
    assert isinstance(model.tower.trunk.bn1, torch.nn.SyncBatchNorm)
    # With gradients the tower itself runs, and not its folded copy.
    expected = plain.eval()(images)
    torch.testing.assert_close(model.eval()(images), expected)
    with torch.no_grad():
        torch.testing.assert_close(model(images), expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(synchronised(model).eval()(images), expected)


def test_synchronised_norms_of_mmcv_are_refused_where_activations_would_be_lost():
    """``sync_bn='mmcv'`` keeps the children of a norm, but does not call them."""

    class SyncBatchNorm(torch.nn.Module):
        """MMCV's, whose package has compiled operators."""

    model = backbone()
    replaced = SyncBatchNorm()
    replaced.add_module('act', model.tower.trunk.bn1.act)
    model.tower.trunk.bn1 = replaced
    with pytest.raises(ValueError, match=r"'mmcv' drops the activ.*sync_bn='torch'"):
        model.train()


def test_synchronised_norms_of_a_guided_backbone_keep_their_activations():
    plain = CLIPGuidedBackbone(
        backbone=dict(type='mmseg.TIMMBackbone', **EFFICIENTNET),
        clip=dict(model_name=NAME, dense_mode='vanilla'),
    )
    images = torch.randn(2, 3, 64, 64)
    expected = plain.eval()(images)
    torch.testing.assert_close(synchronised(plain).eval()(images), expected)


def test_a_timm_tower_can_guide_another_backbone():
    inner = dict(type='ResNet', depth=18, out_indices=(3,), norm_cfg=dict(type='BN'))
    inner.update(num_stages=4, strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1))
    model = CLIPGuidedBackbone(
        backbone={**inner, 'type': 'mmseg.ResNet'},
        clip=dict(model_name=NAME, dense_mode='vanilla'),
    ).train()
    _, dense, embedding = model(torch.randn(2, 3, 64, 64))
    assert dense.shape == (2, 256, 2, 2)
    assert not dense.requires_grad
    assert embedding.shape == (2, 256, 1, 1)


def test_channels_last_gives_the_same_outputs_and_gradients():
    plain, last = (
        backbone(out_indices=(1,)),
        backbone(channels_last=True, out_indices=(1,)),
    )
    last.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, 64, 64)
    outputs = [model.train()(images) for model in (plain, last)]
    for one, other in zip(*outputs):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    for level in outputs[1][:2]:
        assert level.is_contiguous(memory_format=torch.channels_last)
    for level, *_ in outputs:
        level.square().mean().backward()
    kernels = [model.tower.trunk.conv_stem.weight for model in (plain, last)]
    torch.testing.assert_close(kernels[0].grad, kernels[1].grad, rtol=1e-2, atol=1e-4)
    assert kernels[1].is_contiguous(memory_format=torch.channels_last)
