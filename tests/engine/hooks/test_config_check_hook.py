import sys
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.runner.priority import get_priority

from mcdrl_mmseg.apis.run_setup import build_runner, insert_and_check
from mcdrl_mmseg.engine.config_check import ConfigCheckError, check_config
from mcdrl_mmseg.engine.hooks import ConfigCheckHook, DatasetCheckHook

NAME = 'configs/mcdrl/mcdrl_clip-tiny-rn_fcn_6e_endosim-128x128.py'


@pytest.fixture
def cfg(repo_root) -> Config:
    return Config.fromfile(repo_root / NAME)


@pytest.mark.reliability('bad input', "a wrong config under MMSegmentation's own tools")
def test_a_stock_runner_checks_a_shipped_config_before_it_trains(cfg, tmp_path):
    cfg.work_dir = str(tmp_path)
    cfg.val_evaluator = dict(type='IoUMetric')
    for loader in ('train_dataloader', 'val_dataloader'):
        cfg[loader].dataset.lazy_init = True
    runner = Runner.from_cfg(cfg)
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, ConfigCheckHook))
    with pytest.raises(ConfigCheckError, match="save_best: waits for 'mDice_fg'"):
        hook.before_train(runner)


def test_the_config_is_checked_before_the_data():
    own, data = (
        get_priority(hook.priority) for hook in (ConfigCheckHook, DatasetCheckHook)
    )
    assert own < data


def test_a_runner_that_was_built_from_objects_has_nothing_to_check():
    ConfigCheckHook().before_train(SimpleNamespace(cfg=Config({})))


def test_a_config_that_is_right_is_trained(cfg):
    ConfigCheckHook().before_train(SimpleNamespace(cfg=cfg))


@pytest.fixture
def checks(monkeypatch):
    """Configs whose problems are looked for."""
    found = []

    def look(cfg, training=True):
        found.append(cfg)
        return []

    module = sys.modules[check_config.__module__]
    monkeypatch.setattr(module, 'find_problems', look)
    monkeypatch.setattr(module, '_right', None)
    return found


def test_a_config_that_our_own_tool_checked_is_not_checked_again(cfg, tmp_path, checks):
    cfg.work_dir = str(tmp_path)
    cfg.launcher = 'none'
    checked = insert_and_check(cfg)
    runner = build_runner(checked)
    ConfigCheckHook().before_train(runner)
    assert checks == [checked]


@pytest.mark.parametrize('change', ['an entry', 'a check for a test', 'none at all'])
def test_any_other_config_is_checked(cfg, checks, change):
    if change != 'none at all':
        check_config(cfg, training=change == 'an entry')
    if change == 'an entry':
        cfg.optim_wrapper.optimizer.lr = 7.0
    before = len(checks)
    ConfigCheckHook().before_train(SimpleNamespace(cfg=cfg))
    assert len(checks) == before + 1
