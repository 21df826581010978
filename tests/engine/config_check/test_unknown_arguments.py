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


def test_arguments_of_a_class_that_takes_no_others():
    assert accepted(CLIPRegionSelector) == ({'ratio', 'init_cfg'}, True)
    names, is_closed = accepted(DataLoader)
    assert {'batch_size', 'num_workers'} <= names and is_closed


def test_arguments_that_are_handed_on_are_those_of_the_bases_too():
    names, is_closed = accepted(FCNHead)
    assert {'num_convs', 'num_classes', 'align_corners'} <= names
    assert not is_closed


def test_far_key_of_a_class_that_takes_no_others_is_told_with_all_there_are():
    found = problems(model=dict(type='CLIPRegionSelector', alpha=0.5))
    assert found == {
        'model.alpha': "model.alpha: CLIPRegionSelector has no argument 'alpha'. "
        'Remove it. Known arguments: init_cfg, ratio.'
    }


def test_far_key_of_a_class_that_hands_keys_on_is_left_to_it():
    assert problems(model=dict(type='FCNHead', something_else=1)) == {}


def test_small_languages_inside_a_model_are_left_alone():
    model = dict(type='FCNHead', norm_cfg=dict(type='BN', requires_grads=True))
    assert problems(model=model) == {}


def test_variables_of_a_config_are_no_mistakes():
    assert problems(train_dataloader2={}, data_root='', custom_imports={}) == {}
    assert list(problems(train_dataloder={})) == ['train_dataloder']


def test_classes_of_other_packages_are_not_looked_up():
    assert problems(model=dict(type='nowhere.Model', a=1)) == {}


def test_classes_registered_with_mmseg_are_known_and_so_are_those_of_mmengine():
    for name in ('BFloat16OptimWrapper', 'AmpOptimWrapper'):
        wrapper = dict(type=name, optimizer=dict(type='AdamW', lr=0.1))
        assert problems(optim_wrapper=wrapper) == {}
    found = problems(
        optim_wrapper=dict(type='AmpOptimWraper'),
        custom_hooks=[dict(type='InterventionWarmupHok')],
    )
    assert "Did you mean 'AmpOptimWrapper'?" in found['optim_wrapper.type']
    assert 'InterventionWarmupHook' in found['custom_hooks[0].type']
