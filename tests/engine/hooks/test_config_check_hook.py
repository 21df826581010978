from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.runner.priority import get_priority

from mcdrl_mmseg.engine.config_check import ConfigCheckError
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
