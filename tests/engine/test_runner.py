from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from mmengine.config import Config
from mmseg.registry import HOOKS

from mcdrl_mmseg import config_path
from mcdrl_mmseg.apis.run_setup import insert_and_check
from mcdrl_mmseg.engine.config_check import ConfigCheckError
from mcdrl_mmseg.engine.hooks import ConfigCheckHook
from mcdrl_mmseg.engine.runner import MCDRLRunner
from mcdrl_mmseg.models import CausalIntervention


@pytest.fixture
def mixed() -> Config:
    cfg = Config.fromfile(config_path('mixing/own_segformer_mcdrl.py'))
    cfg.mcdrl.clip.update(model_name='mcdrl-tiny-rn', pretrained='builtin')
    return cfg


@pytest.fixture
def too_short(mixed) -> Config:
    """A mixed config whose training ends before the intervention begins."""
    mixed.train_cfg = dict(type='IterBasedTrainLoop', max_iters=20)
    mixed.mcdrl.hooks[1] = dict(
        type='InterventionWarmupHook', begin=1000, by_epoch=False
    )
    return mixed


def test_the_warmup_of_a_mixed_config_is_a_share_of_its_schedule(mixed):
    mixed.train_cfg = dict(type='IterBasedTrainLoop', max_iters=20)
    (hook,) = [h for h in insert_and_check(mixed).custom_hooks if 'begin' in h]
    hook = HOOKS.build(hook)
    runner = SimpleNamespace(max_iters=20, train_loop=None, message_hub=MagicMock())
    hook._interventions = [CausalIntervention(8, 8, num_layers=1)]
    gates = []
    for runner.iter in range(20):
        hook.before_train_iter(runner, 0)
        gates.append(hook._interventions[0].gate.item())
    assert gates == [0] * 4 + [1] * 16


NEVER = r'custom_hooks\[1\]\.begin: the intervention begins after 1000 iters, but .*=20'


@pytest.mark.reliability('bad input', 'a mixed config that ends before MCDRL begins')
def test_insert_and_check_checks_the_config_with_mcdrl_inserted(too_short):
    with pytest.raises(ConfigCheckError, match=NEVER):
        insert_and_check(too_short)
    # A checkpoint can be tested whatever the training settings are.
    tested = insert_and_check(too_short, training=False)
    assert tested.model.decode_head.type == 'CausalInterventionHead'


@pytest.mark.reliability('bad input', "the same under MMSegmentation's own tools")
def test_stock_tools_find_the_problem_when_training_starts(too_short, tmp_path):
    too_short.work_dir = str(tmp_path)
    too_short.mcdrl.head.intervention.num_heads = 7
    with pytest.raises(ConfigCheckError, match=r'intervention\.num_heads'):
        MCDRLRunner.from_cfg(too_short)
    del too_short.mcdrl.head.intervention['num_heads']
    runner = MCDRLRunner.from_cfg(too_short)
    assert isinstance(runner, MCDRLRunner)
    with pytest.raises(ConfigCheckError, match=NEVER):
        runner.train()


def test_the_runner_adds_a_check_hook_that_the_config_does_not_name(mixed, tmp_path):
    mixed.work_dir = str(tmp_path)
    (hook,) = (
        hook
        for hook in MCDRLRunner.from_cfg(mixed).hooks
        if isinstance(hook, ConfigCheckHook)
    )
    # The runner itself has already checked the config.
    assert hook.checked
