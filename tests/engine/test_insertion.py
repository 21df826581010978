import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mcdrl_mmseg import config_path, mcdrl_over
from mcdrl_mmseg.engine.insertion import NotConvertibleError, insert_mcdrl


@pytest.fixture
def stock() -> Config:
    return Config.fromfile(config_path('mixing/own_segformer.py'))


@pytest.fixture
def mixed() -> Config:
    cfg = Config.fromfile(config_path('mixing/own_segformer_mcdrl.py'))
    clip = dict(model_name='mcdrl-tiny-rn', pretrained='builtin')
    cfg.mcdrl.clip.update(clip)
    return cfg


def test_the_stock_backbone_and_head_are_wrapped_unchanged(stock, mixed):
    model = insert_mcdrl(mixed).model
    assert model.backbone.type == 'CLIPGuidedBackbone'
    assert model.backbone.backbone == stock.model.backbone
    assert model.decode_head.type == 'CausalInterventionHead'
    assert model.decode_head.predictor == stock.model.decode_head
    assert model.decode_head.dictionary.prompts.classes == ['polyp']


def test_the_last_level_that_the_head_reads_is_intervened_on(mixed):
    head = insert_mcdrl(mixed).model.decode_head
    assert (head.in_channels, head.in_index) == (256, 3)


def test_the_guide_undoes_the_normalisation_of_the_data_preprocessor(mixed):
    mixed.model.data_preprocessor.update(mean=[1, 2, 3], bgr_to_rgb=False)
    backbone = insert_mcdrl(mixed).model.backbone
    assert (backbone.mean, backbone.bgr) == ([1, 2, 3], True)
    assert backbone.std == mixed.model.data_preprocessor.std


@pytest.mark.parametrize('given', [{}, dict(mean=None, std=None)])
def test_the_guide_of_images_without_normalisation_applies_only_its_own(mixed, given):
    del mixed.model.data_preprocessor['mean'], mixed.model.data_preprocessor['std']
    mixed.model.data_preprocessor.update(given)
    init_default_scope('mmseg')
    model = MODELS.build(insert_mcdrl(mixed).model)
    model.backbone.check_data_preprocessor(model.data_preprocessor)
    pixel = torch.tensor([255.0, 0.0, 51.0]).view(1, 3, 1, 1)
    seen = model.backbone.clip_images(pixel).flatten().tolist()
    # (1 - 0.48145466) / 0.26862954, and so on: OpenAI's, of values from 0 to 1.
    assert seen == pytest.approx([1.930336, -1.752097, -0.754996], abs=1e-4)


def test_everything_but_model_and_hooks_stays_and_mcdrl_and_runner_type_are_removed(
    stock, mixed
):
    cfg = insert_mcdrl(mixed)
    for key in set(stock) - {'model', 'custom_hooks'}:
        assert cfg[key] == stock[key], key
    assert 'mcdrl' not in cfg
    assert 'runner_type' not in cfg


def test_the_hooks_of_mcdrl_follow_those_of_the_project(mixed):
    mixed.custom_hooks = [dict(type='EarlyStoppingHook')]
    types = [hook.type for hook in insert_mcdrl(mixed).custom_hooks]
    assert types == [
        'EarlyStoppingHook',
        'ConfounderDictionaryHook',
        'InterventionWarmupHook',
        'SiteReferenceHook',
    ]


def test_the_given_config_is_not_changed(mixed):
    before = copy.deepcopy(mixed._cfg_dict.to_dict())
    insert_mcdrl(mixed)
    assert mixed._cfg_dict.to_dict() == before


@pytest.mark.parametrize(
    ('index', 'expected'), [(2, 2), (-1, -3), ([0, 1], [0, 1]), ([-2, -1], [-4, -3])]
)
def test_an_auxiliary_head_reads_the_same_level_as_before(mixed, index, expected):
    mixed.model.auxiliary_head = dict(type='FCNHead', in_index=index)
    assert insert_mcdrl(mixed).model.auxiliary_head.in_index == expected


def test_a_level_from_the_end_is_shifted_for_the_intervention_but_not_the_predictor(
    mixed,
):
    mixed.model.decode_head = dict(type='FCNHead', in_channels=64, in_index=-2)
    head = insert_mcdrl(mixed).model.decode_head
    assert (head.in_channels, head.in_index) == (64, -4)
    assert head.predictor.in_index == -2


def test_the_model_can_be_built(mixed):
    init_default_scope('mmseg')
    model = MODELS.build(insert_mcdrl(mixed).model)
    assert type(model.backbone.backbone).__name__ == 'MixVisionTransformer'
    assert type(model.decode_head.predictor).__name__ == 'SegformerHead'


def test_a_missing_mcdrl_entry_is_an_error_that_names_the_base_to_add(stock):
    with pytest.raises(ValueError, match=r'add configs/_base_/mcdrl\.py'):
        insert_mcdrl(stock)


def test_a_neck_moves_into_the_backbone_and_the_head_reads_its_levels(mixed):
    mixed.model.neck = dict(type='FPN', in_channels=[32, 64, 160, 256], out_channels=64)
    mixed.model.decode_head.in_channels = [64, 64, 64, 64]
    neck = copy.deepcopy(mixed.model.neck)
    model = insert_mcdrl(mixed).model
    assert model.neck is None
    assert model.backbone.neck == neck
    assert (model.decode_head.in_channels, model.decode_head.in_index) == (64, 3)


def test_only_the_last_head_of_a_cascade_becomes_the_predictor(mixed):
    heads = [
        dict(type='FCNHead', in_channels=[64, 256], in_index=[1, -1]),
        dict(type='OCRHead', in_channels=256, in_index=3),
    ]
    mixed.model.update(type='CascadeEncoderDecoder', num_stages=2, decode_head=heads)
    coarse, head = insert_mcdrl(mixed).model.decode_head
    assert coarse == dict(type='FCNHead', in_channels=[64, 256], in_index=[1, -3])
    assert head.type == 'CausalInterventionHead'
    assert head.predictor == heads[1]
    assert (head.in_channels, head.in_index) == (256, 3)


@pytest.mark.parametrize(
    ('head', 'expected'),
    [
        # Without an in_index, the last level.
        (dict(type='DDRHead', in_channels=256), (256, -3)),
        # P, I and D in training; the first and the last are gone in evaluation.
        (dict(type='PIDHead', in_channels=128), (128, 1)),
        # Heads with queries read all levels.
        (dict(type='Mask2FormerHead', in_channels=[96, 192, 384, 768]), (768, 3)),
        (dict(type='PointHead', in_channels=[64], in_index=[0]), (64, 0)),
        (
            dict(
                type='IterativeDecodeHead',
                kernel_generate_head=dict(type='FCNHead', in_channels=32, in_index=2),
                kernel_update_head=[dict(type='KernelUpdateHead', in_channels=512)],
            ),
            (32, 2),
        ),
    ],
)
def test_the_map_that_the_head_segments_is_intervened_on(mixed, head, expected):
    mixed.model.decode_head = dict(head)
    found = insert_mcdrl(mixed).model.decode_head
    assert (found.in_channels, found.in_index) == expected


@pytest.mark.parametrize(
    ('index', 'expected'), [([1, 2, 3], [64, 160, 256]), (0, 32), ([3, 2], [256, 160])]
)
def test_the_levels_given_in_the_config_are_intervened_on_with_their_widths(
    mixed, index, expected
):
    mixed.mcdrl.head.in_index = index
    head = insert_mcdrl(mixed).model.decode_head
    assert (head.in_index, head.in_channels) == (index, expected)


def test_levels_counted_from_the_end_skip_the_two_maps_of_clip(mixed):
    mixed.model.decode_head.in_index = [-4, -3, -2, -1]
    mixed.mcdrl.head.in_index = [-2, -1]
    head = insert_mcdrl(mixed).model.decode_head
    assert (head.in_index, head.in_channels) == ([-4, -3], [160, 256])


def test_a_level_of_unknown_width_needs_in_channels_in_the_config(mixed):
    mixed.model.decode_head = dict(type='FCNHead', in_channels=256, in_index=3)
    mixed.mcdrl.head.in_index = 2
    with pytest.raises(NotConvertibleError, match=r'width of level 2.*levels \[3\]'):
        insert_mcdrl(mixed)
    mixed.mcdrl.head.in_channels = 160
    head = insert_mcdrl(mixed).model.decode_head
    assert (head.in_index, head.in_channels) == (2, 160)


def test_a_head_without_in_channels_needs_level_and_width_in_the_config(mixed):
    mixed.model.decode_head = dict(type='OwnHead')
    with pytest.raises(
        NotConvertibleError, match=r'OwnHead does not specify the width'
    ):
        insert_mcdrl(mixed)
    mixed.mcdrl.head.update(in_index=3, in_channels=256)
    head = insert_mcdrl(mixed).model.decode_head
    assert (head.in_index, head.in_channels) == (3, 256)


@pytest.mark.parametrize(
    ('kind', 'part', 'what'),
    [
        ('DepthEstimator', None, 'it estimates depth'),
        ('MultimodalEncoderDecoder', 'backbone', 'it is CLIP itself'),
        ('OwnSegmentor', 'decode_head', 'OwnSegmentor: it has no decode_head'),
    ],
)
def test_a_model_that_mcdrl_cannot_extend_is_an_error_of_one_sentence(
    mixed, kind, part, what
):
    mixed.model.type = kind
    if part:
        del mixed.model[part]
    with pytest.raises(NotConvertibleError, match=what) as caught:
        insert_mcdrl(mixed)
    assert str(caught.value).count('.') == 1


def test_the_causal_loss_is_left_out_for_a_single_lesion_class(mixed):
    """Its target would be a constant, which the bias of the projection can reach."""
    mixed.mcdrl.head.loss_causal = dict(type='CausalAlignmentLoss')
    mixed.mcdrl.head.dictionary.prompts.classes = ['polyp']
    assert insert_mcdrl(mixed).model.decode_head.loss_causal is None
    mixed.mcdrl.head.dictionary.prompts.classes = ['polyp', 'tumour']
    loss = insert_mcdrl(mixed).model.decode_head.loss_causal
    assert loss.type == 'CausalAlignmentLoss'


OPTIONS = '_base_/mcdrl.py'


def test_mcdrl_over_a_base_equals_what_the_runner_inserts(stock):
    """The given prompts replace those of the options."""
    stock.model.auxiliary_head = dict(type='FCNHead', in_index=-1)
    prompts = dict(classes=['polyp'], confounders={'focus': ['blur', 'haze']})
    parts = mcdrl_over(stock.model, config_path(OPTIONS), prompts)
    assert all(part.pop('_delete_') for part in parts.values())

    options = Config.fromfile(config_path(OPTIONS))
    options.mcdrl.head.dictionary.prompts = prompts
    mixed = insert_mcdrl(Config(dict(stock.to_dict(), mcdrl=options.mcdrl)))
    made = {name: mixed.model[name].to_dict() for name in parts}
    assert Config(parts).to_dict() == made
    assert set(parts) == {'backbone', 'decode_head', 'auxiliary_head'}


def test_changes_of_the_head_over_a_base_are_merged_into_the_options(stock):
    before = copy.deepcopy(stock.model)
    parts = mcdrl_over(
        stock.model,
        config_path(OPTIONS),
        dict(classes=['polyp']),
        intervention=dict(num_layers=1),
        region_selector=None,
    )
    head = parts['decode_head']
    assert head['intervention'] == dict(
        type='CausalIntervention', num_layers=1, observe_confounders=True
    )
    assert head['region_selector'] is None
    assert stock.model == before


@pytest.mark.parametrize(
    ('name', 'width'), [('RN50', 1024), ('mcdrl-tiny-rn', 128), ('ViT-L/14', 768)]
)
def test_the_dictionary_width_follows_the_tower_unless_the_config_gives_it(
    mixed, name, width
):
    mixed.mcdrl.clip.model_name = name
    assert insert_mcdrl(mixed).model.decode_head.dictionary.embed_dims == width
    mixed.mcdrl.head.dictionary.embed_dims = 7  # as given, which the check will name
    assert insert_mcdrl(mixed).model.decode_head.dictionary.embed_dims == 7
