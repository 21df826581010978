from mmengine.config import Config
from mmseg.models import FCNHead
from torch.utils.data import DataLoader

from mcdrl_mmseg.engine.config_check.config_components import components
from mcdrl_mmseg.engine.config_check.unknown_arguments import (
    accepted,
    argument_problems,
)
from mcdrl_mmseg.models import CLIPRegionSelector


def problems(**cfg):
    cfg = Config(cfg)
    return {one.place: str(one) for one in argument_problems(cfg, components(cfg))}


def test_the_arguments_of_a_closed_class_are_known_completely():
    assert accepted(CLIPRegionSelector) == ({'ratio', 'init_cfg'}, True)
    names, is_closed = accepted(DataLoader)
    assert {'batch_size', 'num_workers'} <= names and is_closed


def test_a_class_that_passes_keys_on_also_accepts_arguments_of_its_bases():
    names, is_closed = accepted(FCNHead)
    assert {'num_convs', 'num_classes', 'align_corners'} <= names
    assert not is_closed


def test_an_unknown_key_of_a_closed_class_is_reported_with_all_known_arguments():
    found = problems(model=dict(type='CLIPRegionSelector', alpha=0.5))
    assert found == {
        'model.alpha': "model.alpha: CLIPRegionSelector has no argument 'alpha'. "
        'Remove it. Known arguments: init_cfg, ratio.'
    }


def test_an_unfamiliar_key_of_a_class_that_passes_keys_on_is_accepted():
    assert problems(model=dict(type='FCNHead', something_else=1)) == {}


def test_entries_such_as_norm_cfg_inside_a_model_are_not_checked():
    model = dict(type='FCNHead', norm_cfg=dict(type='BN', requires_grads=True))
    assert problems(model=model) == {}


def test_variables_of_a_config_are_not_mistakes_but_misspelt_sections_are():
    assert problems(train_dataloader2={}, data_root='', custom_imports={}) == {}
    assert list(problems(train_dataloder={})) == ['train_dataloder']


def test_unregistered_classes_of_other_packages_are_not_checked():
    assert problems(model=dict(type='nowhere.Model', a=1)) == {}


def test_classes_registered_with_mmseg_or_mmengine_are_known():
    for name in ('BFloat16OptimWrapper', 'AmpOptimWrapper'):
        wrapper = dict(type=name, optimizer=dict(type='AdamW', lr=0.1))
        assert problems(optim_wrapper=wrapper) == {}
    found = problems(
        optim_wrapper=dict(type='AmpOptimWraper'),
        custom_hooks=[dict(type='InterventionWarmupHok')],
    )
    assert "Did you mean 'AmpOptimWrapper'?" in found['optim_wrapper.type']
    assert 'InterventionWarmupHook' in found['custom_hooks[0].type']
