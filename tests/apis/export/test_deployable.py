import copy

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mcdrl_mmseg.apis.export.deployable import DeployableSegmentor, ExportError
from mcdrl_mmseg.apis.export.exporting import export_model
from mcdrl_mmseg.apis.export.formats import export_program
from mcdrl_mmseg.apis.image_pipeline import prepare
from mcdrl_mmseg.models import DictionaryError


@torch.no_grad()
def predicted(model, image):
    """``seg_logits`` of mmseg's own prediction; ``image`` is blue first."""
    inputs, samples = prepare(model, image)
    (sample,) = model.predict(inputs, samples)
    return sample.seg_logits.data


@pytest.mark.parametrize('tower', ['vit', 'resnet'])
@torch.no_grad()
def test_logits_agree_with_predict_of_the_segmentor(request, tower, new_pixels):
    model = request.getfixturevalue(tower)
    pixels = new_pixels(1, 128, 128)
    blue_first = np.ascontiguousarray(pixels[0, ::-1].transpose(1, 2, 0))
    found = DeployableSegmentor(model)(torch.from_numpy(pixels))[0]
    expected = predicted(model, blue_first)
    assert found.shape == (2, 128, 128)
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_network_that_expects_blue_first_gets_blue_first(vit, new_pixels):
    model = copy.deepcopy(vit)
    preprocessor = model.data_preprocessor
    for name in ('channel_conversion', '_channel_conversion'):
        if hasattr(preprocessor, name):
            setattr(preprocessor, name, False)
    pixels = torch.from_numpy(new_pixels(1, 64, 64))
    bgr, rgb = DeployableSegmentor(model), DeployableSegmentor(vit)
    assert (bgr.takes_rgb, rgb.takes_rgb) == (False, True)
    assert torch.equal(bgr(pixels), rgb(pixels.flip(1)))
    assert not torch.equal(bgr(pixels), rgb(pixels))


@torch.no_grad()
def test_a_head_that_draws_random_bases_at_each_pass_draws_once_for_an_export(
    resnet, new_pixels, tmp_path
):
    """SegNeXt's head starts from random bases: no file would agree with PyTorch."""
    init_default_scope('mmseg')
    model = copy.deepcopy(resnet)
    model.decode_head.predictor = MODELS.build(
        dict(
            type='LightHamHead',
            in_channels=[64, 128],
            in_index=[0, 1],
            channels=8,
            ham_channels=8,
            ham_kwargs=dict(MD_S=2, MD_R=4, eval_steps=1, rand_init=True),
            num_classes=2,
        )
    ).eval()
    pixels = torch.from_numpy(new_pixels(2, 64, 64))
    module = DeployableSegmentor(model)
    first = module(pixels)
    assert torch.equal(module(pixels), first)
    torch.testing.assert_close(module(pixels[1:]), first[1:])
    assert first.std() > 0
    path = tmp_path / 'segnext.pt'
    assert export_model(model, path, 'torchscript', (64, 64)).difference < 1e-4
    assert model.decode_head.predictor.hamburger.ham.rand_init


@pytest.fixture(scope='module')
def same_padding():
    """A stock model whose backbone pads like TensorFlow; its levels are of stride 2."""
    init_default_scope('mmseg')
    timm = dict(type='TIMMBackbone', model_name='tf_efficientnet_lite0')
    head = dict(type='FCNHead', in_channels=16, in_index=0, channels=8, num_convs=1)
    model = dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor', mean=[0] * 3, std=[255] * 3, bgr_to_rgb=True
        ),
        backbone=dict(features_only=True, out_indices=(0,), pretrained=False, **timm),
        decode_head=dict(concat_input=False, num_classes=2, **head),
    )
    return MODELS.build(model).eval()


@pytest.mark.parametrize('size', [(64, 64), (37, 50), (38, 51)])
@pytest.mark.parametrize('dilation', [1, 2])
@torch.no_grad()
def test_same_padding_agrees_with_timm_at_even_and_odd_sizes(
    same_padding, size, dilation
):
    model = copy.deepcopy(same_padding)
    model.backbone.timm_model.conv_stem.dilation = (dilation, dilation)
    images = torch.randn(2, 3, *size)
    (found,) = DeployableSegmentor(model).model.backbone(images)
    torch.testing.assert_close((found,), tuple(model.backbone(images)), rtol=0, atol=0)


def test_same_padding_is_traced_without_division_at_a_variable_size(same_padding):
    """With timm's own padding, tracing the endoscopy CLIP's tower did not finish."""
    program = export_program(DeployableSegmentor(same_padding), (64, 64), multiple=32)
    called = [str(node.target) for node in program.graph.nodes]
    assert 'aten.conv2d.default' in called
    assert not [name for name in called if 'truediv' in name or 'ceil' in name]


def test_original_model_is_not_changed(resnet):
    before = copy.deepcopy(resnet.state_dict())
    module = DeployableSegmentor(resnet)
    assert not any(p.requires_grad for p in module.parameters())
    assert any(p.requires_grad for p in resnet.parameters())
    torch.testing.assert_close(resnet.state_dict(), before, rtol=0, atol=0)
    assert not hasattr(resnet.decode_head.intervention, 'projection')


def test_sliding_windows_are_refused(vit):
    model = copy.deepcopy(vit)
    model.test_cfg = dict(mode='slide', crop_size=(64, 64), stride=(32, 32))
    with pytest.raises(ExportError, match=r"test_cfg\.mode='slide'.*mode='whole'"):
        DeployableSegmentor(model)


def test_empty_dictionary_is_refused(unbuilt):
    with pytest.raises(DictionaryError, match='not built'):
        DeployableSegmentor(unbuilt)


def test_a_module_that_is_not_a_segmentor_is_refused():
    with pytest.raises(ExportError, match='Linear cannot be exported'):
        DeployableSegmentor(torch.nn.Linear(1, 1))
