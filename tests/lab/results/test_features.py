import copy

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from mcdrl_lab.results.features import collect_features
from mcdrl_mmseg.models import DictionaryError

WIDTH = 128
SIZE = (64, 64)


@pytest.fixture
def make_model():
    """A small segmentor that keeps every position, with a dictionary of noise."""
    init_default_scope('mmseg')
    torch.set_num_threads(1)

    def make(ratio=1.0, built=True, **intervention):
        cfg = dict(
            type='EncoderDecoder',
            data_preprocessor=dict(type='SegDataPreProcessor', size=SIZE),
            backbone=dict(
                type='CLIPVisionBackbone', model_name='mcdrl-tiny-rn', out_indices=(1,)
            ),
            decode_head=dict(
                type='CausalInterventionHead',
                in_channels=WIDTH,
                region_selector=dict(type='CLIPRegionSelector', ratio=ratio),
                intervention=dict(
                    type='CausalIntervention', num_layers=1, **intervention
                ),
                predictor=dict(
                    type='FCNHead',
                    in_channels=WIDTH,
                    in_index=1,
                    channels=8,
                    num_classes=2,
                ),
                dictionary=dict(
                    type='ConfounderDictionary',
                    prompts=dict(
                        classes=['polyp'],
                        confounders={'light': ['glare', 'dark']},
                        background_prompts=['Normal mucosa'],
                    ),
                    embed_dims=WIDTH,
                ),
            ),
            train_cfg=dict(),
            test_cfg=dict(mode='whole'),
        )
        torch.manual_seed(0)
        model = MODELS.build(ConfigDict(copy.deepcopy(cfg)))
        dictionary = model.decode_head.dictionary
        if built:
            dictionary.fill(torch.randn(len(dictionary.texts), WIDTH), 'ab' * 32)
        return model

    return make


def batch(*samples):
    """A batch of a loader: (seed of the image, metainfo of its sample) each."""
    inputs, data_samples = [], []
    for seed, metainfo in samples:
        generator = torch.Generator().manual_seed(seed)
        inputs.append(
            torch.randint(0, 255, (3, *SIZE), generator=generator, dtype=torch.uint8)
        )
        mask = torch.zeros(1, *SIZE, dtype=torch.long)
        mask[..., :4] = metainfo.pop('label', 0)
        sample = SegDataSample(gt_sem_seg=PixelData(data=mask))
        sample.set_metainfo(dict(img_shape=SIZE, ori_shape=SIZE, **metainfo))
        data_samples.append(sample)
    return dict(inputs=inputs, data_samples=data_samples)


def test_labels_follow_the_order_of_the_loader(make_model):
    loader = [
        batch(
            (
                0,
                dict(
                    site='a',
                    lesion_classes=['polyp'],
                    sequence='v1',
                    img_path='/data/a/images/x.jpg',
                ),
            ),
            (1, dict(site='a', lesion_classes=[], sequence=None, img_path='y.jpg')),
        ),
        batch((2, dict(site='b', lesion_classes=['polyp', 'cyst']))),
    ]
    features = collect_features(make_model(), loader)
    assert features['sites'].tolist() == ['a', 'a', 'b']
    assert features['lesions'].tolist() == ['polyp', 'no lesion', 'polyp + cyst']
    assert features['sequences'].tolist() == ['v1', None, None]
    assert features['images'].tolist() == ['images/x.jpg', 'y.jpg', '']


@pytest.mark.parametrize('ignored', [255, 7])
def test_samples_without_lesion_classes_are_labelled_from_their_masks(
    make_model, ignored
):
    loader = [batch((0, dict(label=1)), (1, dict(label=ignored)), (2, dict(label=0)))]
    model = make_model()
    model.decode_head.predictor.ignore_index = ignored
    features = collect_features(model, loader)
    assert features['lesions'].tolist() == ['lesion', 'no lesion', 'no lesion']
    assert set(features['sites']) == {'all'}


def test_f_is_the_mean_of_the_dense_map_where_every_position_is_kept(make_model):
    model = make_model().eval()
    data = batch((0, {}), (1, {}))
    with torch.no_grad():
        pixels = torch.stack(data['inputs']).float()
        dense = model.backbone(pixels)[-2]
    features = collect_features(model, [data])
    np.testing.assert_allclose(
        features['F'], dense.mean(dim=(2, 3)).numpy(), rtol=1e-4, atol=1e-6
    )
    assert features['F'].shape == features['F_ca'].shape == (2, WIDTH)


def test_f_is_the_mean_of_the_kept_positions_alone(make_model):
    model = make_model(ratio=0.5).eval()
    data = batch((0, {}))
    with torch.no_grad():
        dense = model.backbone(torch.stack(data['inputs']).float())[-2]
        unit = nn.functional.normalize(dense, dim=1).flatten(2)[0].t()
        text = nn.functional.normalize(model.decode_head.dictionary.class_embeddings)
        order = (unit @ text.t())[:, 0].argsort(descending=True)
        expected = dense.flatten(2)[0].t()[order[: len(order) // 2]].mean(dim=0)
    np.testing.assert_allclose(
        collect_features(model, [data])['F'][0], expected, rtol=1e-4, atol=1e-6
    )


def test_f_ca_equals_f_only_for_an_intervention_that_adds_nothing(make_model):
    model = make_model()
    before = collect_features(model, [batch((0, {}))])
    assert np.abs(before['F'] - before['F_ca']).max() > 0
    layer = model.decode_head.intervention.layers[0]
    for linear in (layer.out, layer.ffn[-1]):
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
    after = collect_features(model, [batch((0, {}))])
    np.testing.assert_array_equal(after['F'], after['F_ca'])


def test_f_ca_does_not_depend_on_the_gate(make_model):
    open_gate = collect_features(make_model(gate=1.0), [batch((0, {}))])
    closed = collect_features(make_model(gate=0.0), [batch((0, {}))])
    np.testing.assert_array_equal(open_gate['F_ca'], closed['F_ca'])


def test_attention_is_returned_only_by_the_approximation_that_trains_it(make_model):
    features = collect_features(make_model(), [batch((0, {}), (1, {}))])
    assert features['attention'].shape == (2, 2)
    np.testing.assert_allclose(features['attention'].sum(axis=1), 1, rtol=1e-5)
    exact = make_model(approximation='expectation')
    assert 'attention' not in collect_features(exact, [batch((0, {}))])


def test_model_keeps_its_training_or_evaluation_mode(make_model):
    model = make_model()
    for mode in (True, False):
        model.train(mode)
        collect_features(model, [batch((0, {}))])
        assert model.training is mode


def test_unusable_input_is_refused_with_the_reason(make_model):
    with pytest.raises(ValueError, match='needs a CausalInterventionHead'):
        collect_features(nn.Linear(1, 1), [])
    with pytest.raises(ValueError, match='the data loader gives no images'):
        collect_features(make_model(), [])
    with pytest.raises(DictionaryError, match='not built'):
        collect_features(make_model(built=False), [batch((0, {}))])
