import copy
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import HOOKS, MODELS

from mcdrl_mmseg import config_path, mcdrl_over
from mcdrl_mmseg.apis.launch import insert_and_check
from mcdrl_mmseg.engine.config_check import ConfigCheckError
from mcdrl_mmseg.engine.runner import MCDRLRunner, insert_mcdrl
from mcdrl_mmseg.models import CausalIntervention


@pytest.fixture
def stock() -> Config:
    return Config.fromfile(config_path('mixing/own_segformer.py'))


@pytest.fixture
def mixed() -> Config:
    cfg = Config.fromfile(config_path('mixing/own_segformer_mcdrl.py'))
    clip = dict(model_name='mcdrl-tiny-rn', pretrained='builtin')
    cfg.mcdrl.clip.update(clip)
    return cfg


def test_backbone_and_head_of_the_stock_config_are_wrapped_unchanged(stock, mixed):
    model = insert_mcdrl(mixed).model
    assert model.backbone.type == 'CLIPGuidedBackbone'
    assert model.backbone.backbone == stock.model.backbone
    assert model.decode_head.type == 'CausalInterventionHead'
    assert model.decode_head.predictor == stock.model.decode_head
    assert model.decode_head.dictionary.prompts.classes == ['polyp']


def test_last_level_that_the_head_reads_is_intervened_on(mixed):
    head = insert_mcdrl(mixed).model.decode_head
    assert (head.in_channels, head.in_index) == (256, 3)


def test_guide_undoes_the_normalisation_of_the_data_preprocessor(mixed):
    mixed.model.data_preprocessor.update(mean=[1, 2, 3], bgr_to_rgb=False)
    backbone = insert_mcdrl(mixed).model.backbone
    assert (backbone.mean, backbone.bgr) == ([1, 2, 3], True)
    assert backbone.std == mixed.model.data_preprocessor.std


def test_everything_but_model_and_hooks_stays_and_nothing_names_the_runner(
    stock, mixed
):
    cfg = insert_mcdrl(mixed)
    for key in set(stock) - {'model', 'custom_hooks'}:
        assert cfg[key] == stock[key], key
    assert 'mcdrl' not in cfg
    assert 'runner_type' not in cfg


def test_hooks_follow_those_of_the_project(mixed):
    mixed.custom_hooks = [dict(type='EarlyStoppingHook')]
    types = [hook.type for hook in insert_mcdrl(mixed).custom_hooks]
    assert types == [
        'EarlyStoppingHook',
        'ConfounderDictionaryHook',
        'InterventionWarmupHook',
    ]


def test_config_given_is_not_changed(mixed):
    before = copy.deepcopy(mixed._cfg_dict.to_dict())
    insert_mcdrl(mixed)
    assert mixed._cfg_dict.to_dict() == before


@pytest.mark.parametrize(
    ('index', 'expected'), [(2, 2), (-1, -3), ([0, 1], [0, 1]), ([-2, -1], [-4, -3])]
)
def test_auxiliary_head_reads_the_level_that_it_read(mixed, index, expected):
    mixed.model.auxiliary_head = dict(type='FCNHead', in_index=index)
    assert insert_mcdrl(mixed).model.auxiliary_head.in_index == expected


def test_head_that_reads_one_level_from_the_end(mixed):
    mixed.model.decode_head = dict(type='FCNHead', in_channels=64, in_index=-2)
    head = insert_mcdrl(mixed).model.decode_head
    assert (head.in_channels, head.in_index) == (64, -4)
    assert head.predictor.in_index == -2


def test_model_can_be_built(mixed):
    init_default_scope('mmseg')
    model = MODELS.build(insert_mcdrl(mixed).model)
    assert type(model.backbone.backbone).__name__ == 'MixVisionTransformer'
    assert type(model.decode_head.predictor).__name__ == 'SegformerHead'


def test_missing_entry_names_the_base_to_add(stock):
    with pytest.raises(ValueError, match=r'add configs/_base_/mcdrl\.py'):
        insert_mcdrl(stock)


@pytest.mark.parametrize(
    ('change', 'what'),
    [
        (dict(neck=dict(type='FPN')), 'has a neck'),
        (dict(decode_head=[dict(type='FCNHead')]), 'has several decode heads'),
    ],
)
def test_model_of_another_shape_is_an_error_saying_what_is_there(mixed, change, what):
    for key, value in change.items():
        mixed.model[key] = value
    with pytest.raises(ValueError, match=what):
        insert_mcdrl(mixed)


OPTIONS = '_base_/mcdrl.py'


def test_over_a_base_gives_what_the_runner_makes_of_the_same_model(stock):
    """With the prompts given, which replace those of the options."""
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


def test_over_a_base_changes_of_the_head_are_merged_into_the_options(stock):
    before = copy.deepcopy(stock.model)
    parts = mcdrl_over(
        stock.model,
        config_path(OPTIONS),
        dict(classes=['polyp']),
        intervention=dict(num_layers=1),
        region_selector=None,
    )
    head = parts['decode_head']
    assert head['intervention'] == dict(type='CausalIntervention', num_layers=1)
    assert head['region_selector'] is None
    assert stock.model == before


@pytest.fixture
def too_short(mixed) -> Config:
    """A mixed config whose training ends before the intervention begins."""
    mixed.train_cfg = dict(type='IterBasedTrainLoop', max_iters=20)
    mixed.mcdrl.hooks[1] = dict(
        type='InterventionWarmupHook', begin=1000, by_epoch=False
    )
    return mixed


def test_warmup_is_a_share_of_whatever_schedule_there_is(mixed):
    mixed.train_cfg = dict(type='IterBasedTrainLoop', max_iters=20)
    (hook,) = [h for h in insert_and_check(mixed).custom_hooks if 'begin' in h]
    hook = HOOKS.build(hook)
    runner = SimpleNamespace(max_iters=20, message_hub=MagicMock())
    hook._interventions = [CausalIntervention(8, 8, num_layers=1)]
    gates = []
    for runner.iter in range(20):
        hook.before_train_iter(runner, 0)
        gates.append(hook._interventions[0].gate.item())
    assert gates == [0] * 4 + [1] * 16


@pytest.mark.parametrize(
    ('name', 'width'), [('RN50', 1024), ('mcdrl-tiny-rn', 128), ('ViT-L/14', 768)]
)
def test_width_of_the_dictionary_follows_from_the_towers_name(mixed, name, width):
    mixed.mcdrl.clip.model_name = name
    assert insert_mcdrl(mixed).model.decode_head.dictionary.embed_dims == width
    mixed.mcdrl.head.dictionary.embed_dims = 7  # as given, which the check will name
    assert insert_mcdrl(mixed).model.decode_head.dictionary.embed_dims == 7


NEVER = r'custom_hooks\[1\]\.begin: the intervention begins after 1000 iters, but .*=20'


@pytest.mark.reliability('bad input', 'a mixed config that ends before MCDRL begins')
def test_our_tools_look_at_the_config_with_mcdrl_in_it(too_short):
    with pytest.raises(ConfigCheckError, match=NEVER):
        insert_and_check(too_short)
    # A checkpoint may be tested whatever its training would be.
    tested = insert_and_check(too_short, training=False)
    assert tested.model.decode_head.type == 'CausalInterventionHead'


@pytest.mark.reliability('bad input', "the same under MMSegmentation's own tools")
def test_stock_tools_find_it_when_the_training_starts(too_short, tmp_path):
    too_short.work_dir = str(tmp_path)
    too_short.mcdrl.head.intervention.num_heads = 7
    with pytest.raises(ConfigCheckError, match=r'intervention\.num_heads'):
        MCDRLRunner.from_cfg(too_short)
    del too_short.mcdrl.head.intervention['num_heads']
    runner = MCDRLRunner.from_cfg(too_short)
    assert isinstance(runner, MCDRLRunner)
    with pytest.raises(ConfigCheckError, match=NEVER):
        runner.train()
