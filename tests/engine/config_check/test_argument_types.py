import pytest
from mmengine.config import Config

from mcdrl_mmseg.engine.config_check.argument_types import value_problems
from mcdrl_mmseg.engine.config_check.config_components import components


def places(**model):
    cfg = Config(dict(model=model))
    return [str(one) for one in value_problems(cfg, components(cfg))]


@pytest.mark.parametrize(
    ('entries', 'expected'),
    [
        (dict(ratio=1), []),
        (dict(ratio=0.25), []),
        (dict(ratio=True), ['model.ratio: is True. Expected a number.']),
        (dict(ratio=None), ['model.ratio: is None. Expected a number.']),
        (dict(init_cfg=None), []),
        (dict(init_cfg=[1]), ['model.init_cfg: is [1]. Expected a dict or None.']),
    ],
)
def test_values_that_are_not_numbers_or_optional_dicts_are_reported(entries, expected):
    assert places(type='CLIPRegionSelector', **entries) == expected


def test_a_prior_can_be_a_string_a_dict_or_a_list():
    common = dict(type='ConfounderDictionary', embed_dims=4, prompts={})
    assert places(**common, prior='uniform') == []
    assert places(**common, prior=[1.0]) == []
    assert places(**common, prior=dict(blur=1.0)) == []
    assert places(**common, prior=1.0) == [
        'model.prior: is 1.0. Expected a string or a dict or a list.'
    ]


def test_argument_types_of_classes_of_other_packages_are_not_checked():
    assert places(type='FCNHead', num_convs='2') == []


@pytest.mark.parametrize(
    ('rate', 'expected'),
    [
        (1e-3, []),
        ('1e-3', ["optim_wrapper.optimizer.lr: is '1e-3'. Expected a number."]),
    ],
)
def test_a_learning_rate_given_as_text_is_reported_with_its_place(rate, expected):
    optimizer = dict(type='AdamW', lr=rate)
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper', optimizer=optimizer)))
    assert [str(one) for one in value_problems(cfg, components(cfg))] == expected
