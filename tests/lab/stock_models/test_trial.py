"""A sample of MMSegmentation's models, one of each kind; the sweep tries all."""

import importlib.util

import pytest
import torch
from mmengine.config import Config

from mcdrl_lab.stock_models.stock_configs import small_model, stock_folder
from mcdrl_lab.stock_models.trial import converted, stock_weights, try_model

SIZE = 64
SAMPLE = {
    'one bare map in evaluation, DDRNet': 'ddrnet/ddrnet_23-slim_in1k-pre_2xb6*',
    'one bare map in evaluation, PIDNet': 'pidnet/pidnet-s_2xb6-120k_1024*',
    'several outputs, BiSeNet': 'bisenetv2/bisenetv2_fcn_4xb4-160k*',
    'a cascade, OCRNet': 'ocrnet/ocrnet_hr18s_4xb2-40k*',
    'a neck, FPN': 'poolformer/fpn_poolformer_s12_*',
    'levels with class tokens, DPT': 'dpt/dpt_vit*',
    'queries for classes, Segmenter': 'segmenter/segmenter_vit-s_mask*',
    'kernels, K-Net': 'knet/knet-s3_r50-d8_fcn*',
    'one level of several, SegFormer': 'segformer/segformer_mit-b0_8xb1-160k*1024*',
    'one level, ERFNet': 'erfnet/erfnet_*',
}
QUERIES = {
    'Mask2Former': 'mask2former/mask2former_r50*ade20k*',
    'MaskFormer': 'maskformer/maskformer_r50*',
}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def stock(pattern: str) -> dict:
    path = sorted(stock_folder().glob(f'{pattern}.py'))[0]
    return small_model(Config.fromfile(path, import_custom_modules=False).model, SIZE)


@pytest.mark.parametrize('kind', SAMPLE)
def test_model_trains_predicts_and_equals_the_stock_model_at_gate_0(kind):
    outcome = try_model(stock(SAMPLE[kind]), SIZE)
    assert (outcome.status, outcome.reason) == ('ok', '')


@pytest.mark.parametrize('name', QUERIES)
@pytest.mark.skipif(
    importlib.util.find_spec('mmdet') is None, reason='MMDetection is not installed'
)
def test_heads_with_queries_get_the_intervened_map(name):
    outcome = try_model(stock(QUERIES[name]), SIZE)
    assert (outcome.status, outcome.reason) == ('ok', '')


@pytest.mark.parametrize(
    ('pattern', 'reason'),
    [
        ('san/san-vit-b16_coco*', 'it is CLIP itself'),
        ('vpd/vpd_*', 'it estimates depth'),
    ],
)
def test_model_without_a_place_for_mcdrl_is_refused_with_the_reason(pattern, reason):
    outcome = try_model(stock(pattern), SIZE)
    assert outcome.status == 'refused'
    assert reason in outcome.reason


def test_a_model_that_cannot_be_built_is_recorded_as_not_built():
    model = stock('erfnet/erfnet_*')
    model['backbone']['type'] = 'NoSuchBackbone'
    outcome = try_model(model, SIZE)
    assert outcome.status == 'not built'
    assert 'NoSuchBackbone' in outcome.reason


def test_a_prediction_at_gate_0_unlike_the_stock_model_is_recorded_as_broken(
    monkeypatch,
):
    from mcdrl_mmseg.models import CausalIntervention

    monkeypatch.setattr(CausalIntervention, 'gated', lambda _, tokens, done: done)
    outcome = try_model(stock('erfnet/erfnet_*'), SIZE)
    assert outcome.status == 'broken'
    assert 'at gate 0 logits are' in outcome.reason


def test_an_intervention_without_part_in_the_loss_is_recorded_as_broken(monkeypatch):
    from mcdrl_mmseg.models import CausalIntervention

    monkeypatch.setattr(CausalIntervention, 'gated', lambda _, tokens, done: tokens)
    monkeypatch.setattr(
        'mcdrl_mmseg.models.CausalAlignmentLoss.forward', lambda *_: torch.zeros(())
    )
    outcome = try_model(stock('erfnet/erfnet_*'), SIZE)
    assert outcome.status == 'broken'
    assert 'has no part in the loss' in outcome.reason


def test_stock_weights_are_found_by_the_names_of_the_stock_model():
    state = {
        'backbone.backbone.conv': 1,
        'backbone.neck.conv': 2,
        'backbone.guide.conv': 3,
        'decode_head.0.conv': 4,
        'decode_head.1.predictor.conv': 5,
        'decode_head.1.intervention.gate': 6,
    }
    names = ['backbone.conv', 'neck.conv', 'decode_head.0.conv', 'decode_head.1.conv']
    assert stock_weights(names, state) == dict(zip(names, (1, 2, 4, 5)))


def test_conversion_does_not_change_the_stock_model_section():
    model = stock('erfnet/erfnet_*')
    before = Config(dict(model=model)).pretty_text
    assert converted(model).backbone.type == 'CLIPGuidedBackbone'
    assert Config(dict(model=model)).pretty_text == before
