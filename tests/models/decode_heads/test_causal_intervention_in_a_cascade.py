import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mcdrl_lab.stock_models.trial import images
from mcdrl_mmseg.models import CausalInterventionHead

CLASSES = ['polyp', 'tumour']
COMMON = dict(in_channels=16, in_index=0, channels=8, num_classes=3)


@pytest.fixture
def head(fill) -> CausalInterventionHead:
    """OCRNet's second head behind an intervention on a level of 16 channels."""
    init_default_scope('mmseg')
    torch.manual_seed(0)
    head = MODELS.build(
        dict(
            type='CausalInterventionHead',
            in_channels=16,
            in_index=0,
            predictor=dict(type='OCRHead', ocr_channels=8, **COMMON),
            dictionary=dict(
                type='ConfounderDictionary',
                prompts=dict(classes=CLASSES, confounders=dict(focus=['blur', 'haze'])),
                embed_dims=8,
            ),
            intervention=dict(type='CausalIntervention', num_layers=1, num_heads=2),
            loss_contrast=None,
        )
    )
    fill(head.dictionary)
    return head


@pytest.fixture
def inputs() -> tuple[torch.Tensor, ...]:
    """A level, CLIP's dense map and embedding."""
    torch.manual_seed(1)
    shapes = [(2, 16, 8, 8), (2, 8, 4, 4), (2, 8, 1, 1)]
    return tuple(torch.randn(shape) for shape in shapes)


@pytest.fixture
def coarse() -> torch.Tensor:
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(2))


def test_predictor_gets_the_intervened_map_and_the_output_of_the_previous_head(
    head, inputs, coarse
):
    head.eval()
    metas = [dict(img_shape=(32, 32))] * 2
    with torch.no_grad():
        features = head.intervene(inputs).features
        expected = head.predictor(features, coarse)
        assert torch.equal(head(inputs, coarse), expected)
        predicted = head.predict(inputs, coarse, metas, dict(mode='whole'))
        assert predicted.shape == (2, 3, 32, 32)
        assert not torch.equal(expected, head.predictor(inputs[:1], coarse))
        head.intervention.gate.fill_(0)
        plain = head.predictor(inputs[:1], coarse)
        assert torch.equal(head(inputs, coarse), plain)


def test_losses_are_those_of_the_predictor_and_the_causal_loss(head, inputs, coarse):
    samples = images(32, 2)['data_samples']
    losses = head.loss(inputs, coarse, samples, {})
    assert {'loss_ce', 'loss_causal'} <= set(losses)
    total = sum(v for k, v in losses.items() if 'loss' in k)
    total.backward()
    assert all(p.grad is not None for p in head.intervention.parameters())


def test_the_former_name_of_the_cascade_head_is_still_registered():
    # Checkpoints carry such a config.
    init_default_scope('mmseg')
    assert MODELS.get('CausalInterventionCascadeHead') is MODELS.get(
        'CausalInterventionHead'
    )
