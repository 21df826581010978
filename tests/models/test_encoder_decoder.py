"""The parts together in MMSegmentation's EncoderDecoder, with small towers."""

import copy

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mcdrl_mmseg.models import ConfounderDictionary

WIDTH = 128
SIZE = (64, 96)
BACKBONES = {
    'resnet': dict(model_name='mcdrl-tiny-rn', out_indices=(1,)),
    'vit': dict(model_name='mcdrl-tiny-vit', out_indices=(2,)),
}
LEVEL_WIDTHS = {'resnet': 128, 'vit': 192}
LOSSES = {
    'both': {},
    'no causal': dict(loss_causal=None),
    'no contrast': dict(loss_contrast=None),
    'none': dict(loss_causal=None, loss_contrast=None),
}


@pytest.fixture(autouse=True)
def _set_up():
    init_default_scope('mmseg')
    torch.set_num_threads(1)


def images(batch=3, size=SIZE) -> torch.Tensor:
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def build(prompts, fill):
    """Builds a segmentor; noise makes residual branches and biases differ from zero."""

    def build_segmentor(
        tower='resnet', gate=1.0, intervention=(), backbone=(), test_cfg=(), **head
    ):
        predictor = dict(
            type='SegformerHead',
            in_channels=[LEVEL_WIDTHS[tower], WIDTH],
            in_index=[0, 1],
            channels=8,
            num_classes=2,
            dropout_ratio=0,
            align_corners=False,
        )
        cfg = dict(
            type='EncoderDecoder',
            data_preprocessor=dict(type='SegDataPreProcessor'),
            backbone=dict(
                type='CLIPVisionBackbone', **{**BACKBONES[tower], **dict(backbone)}
            ),
            decode_head=dict(
                type='CausalInterventionHead',
                in_channels=WIDTH,
                predictor=predictor,
                dictionary=dict(
                    type='ConfounderDictionary', prompts=prompts, embed_dims=WIDTH
                ),
                intervention=dict(
                    type='CausalIntervention',
                    num_layers=2,
                    gate=gate,
                    **dict(intervention),
                ),
                **head,
            ),
            train_cfg=dict(),
            test_cfg=dict(test_cfg) or dict(mode='whole'),
        )
        torch.manual_seed(0)
        model = MODELS.build(ConfigDict(copy.deepcopy(cfg)))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.05)
        fill(model.decode_head.dictionary)
        return model

    return build_segmentor


def step(model, data_samples):
    losses = model(images(), data_samples, mode='loss')
    total, _ = model.parse_losses(losses)
    total.backward()
    return total


@pytest.mark.parametrize('gate', [0.0, 1.0])
@pytest.mark.parametrize('losses', LOSSES)
@pytest.mark.parametrize('approximation', ['attention', 'expectation', 'sampling'])
def test_every_trainable_parameter_has_a_gradient(
    build, samples, approximation, losses, gate
):
    model = build(
        gate=gate, intervention=dict(approximation=approximation), **LOSSES[losses]
    ).train()
    step(model, samples(SIZE, [('polyp',), ('cyst',), ()]))
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


@pytest.mark.parametrize('tower', BACKBONES)
@pytest.mark.parametrize('mode', ['vanilla', 'maskclip', 'clearclip'])
def test_parts_of_the_tower_that_no_loss_uses_have_a_gradient_too(
    build, samples, tower, mode
):
    """With MaskCLIP's map alone, queries and keys of the last attention have none."""
    model = build(tower, backbone=dict(dense_mode=mode), **LOSSES['none']).train()
    step(model, samples(SIZE, [('polyp',), ('cyst',), ()]))
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


@pytest.mark.parametrize('tower', BACKBONES)
@pytest.mark.parametrize('approximation', ['attention', 'expectation', 'sampling'])
def test_every_trainable_parameter_has_a_nonzero_gradient_with_an_open_gate(
    build, samples, tower, approximation
):
    model = build(tower, intervention=dict(approximation=approximation)).train()
    step(model, samples(SIZE, [('polyp',), ('cyst',), ()]))
    for name, parameter in model.named_parameters():
        # Softmax does not change when all keys shift by one vector.
        if parameter.requires_grad and not name.endswith('.key.bias'):
            assert parameter.grad.abs().sum() > 0, name
            assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize('tower', BACKBONES)
def test_closed_gate_gives_the_loss_and_gradients_of_the_plain_network(
    build, samples, tower
):
    """Same loss and gradients of predictor and tower as without the method."""
    labels = samples(SIZE, [('polyp',), ('cyst',), ()])
    model = build(tower, gate=0.0, loss_causal=None, loss_contrast=None)
    plain = copy.deepcopy(model)
    plain.decode_head.intervention = None
    plain.decode_head.region_selector = None
    totals = [step(m.train(), labels) for m in (model, plain)]
    assert torch.equal(*totals)
    gradients = dict(plain.named_parameters())
    for name, parameter in model.named_parameters():
        if 'intervention' in name:
            assert parameter.grad.abs().max() == 0, name
        else:
            torch.testing.assert_close(
                parameter.grad, gradients[name].grad, rtol=1e-4, atol=1e-6, msg=name
            )


def test_frozen_tower_gets_no_gradient_and_the_head_does(build, samples):
    model = build(backbone=dict(frozen=True)).train()
    step(model, samples(SIZE, [('polyp',), ('cyst',), ()]))
    assert all(p.grad is None for p in model.backbone.parameters())
    assert all(p.grad is not None for p in model.decode_head.parameters())


def test_the_model_has_no_text_tower_and_no_forward_pass_uses_texts(
    build, samples, monkeypatch
):
    model = build()
    assert not [m for m in model.modules() if 'Text' in type(m).__name__]

    def fail(*_, **__):
        raise AssertionError('the text side is used')

    monkeypatch.setattr('open_clip.transformer.TextTransformer.__init__', fail)
    monkeypatch.setattr('mcdrl_mmseg.clip.text.tokenize', fail)
    monkeypatch.setattr(ConfounderDictionary, 'texts', property(fail))
    labels = samples(SIZE, [('polyp',), ('cyst',), ()])
    step(model.train(), labels)
    model.eval()
    with torch.no_grad():
        model(images(), labels, mode='predict')
        model(images(), mode='tensor')


@pytest.mark.parametrize('tower', BACKBONES)
def test_tensor_mode_returns_the_logits_of_the_decode_head(build, tower):
    model = build(tower).eval()
    with torch.no_grad():
        logits = model(images(), mode='tensor')
        expected = model.decode_head(model.backbone(images()))
    assert isinstance(logits, torch.Tensor)
    assert logits.shape == (3, 2, 8, 12)
    assert torch.equal(logits, expected)


def test_predict_mode_returns_labels_and_logits_at_image_size(build, samples):
    model = build().eval()
    labels = samples(SIZE, [('polyp',), ('cyst',), ()])
    with torch.no_grad():
        results = model(images(), labels, mode='predict')
    for result in results:
        assert result.seg_logits.data.shape == (2, *SIZE)
        expected = result.seg_logits.data.argmax(dim=0, keepdim=True)
        assert torch.equal(result.pred_sem_seg.data, expected)


@pytest.mark.parametrize('tower', BACKBONES)
def test_slide_inference_averages_the_logits_of_the_crops(build, samples, tower):
    model = build(
        tower, test_cfg=dict(mode='slide', crop_size=(64, 64), stride=(64, 32))
    )
    model.eval()
    labels = samples(SIZE, [('polyp',)] * 3)
    with torch.no_grad():
        results = model(images(), labels, mode='predict')
        total, count = torch.zeros(3, 2, *SIZE), torch.zeros(1, 1, *SIZE)
        for left in (0, 32):
            crop = images()[..., left : left + 64]
            meta = [dict(img_shape=(64, 64), pad_shape=(64, 64))] * 3
            total[..., left : left + 64] += model.encode_decode(crop, meta)
            count[..., left : left + 64] += 1
    expected = total / count
    for image, result in enumerate(results):
        torch.testing.assert_close(result.seg_logits.data, expected[image])


def test_loss_of_a_batch_without_lesions_is_finite(build, samples):
    model = build().train()
    assert step(model, samples(SIZE, [(), (), ()])).isfinite()
    assert all(
        p.grad.isfinite().all() for p in model.parameters() if p.grad is not None
    )
