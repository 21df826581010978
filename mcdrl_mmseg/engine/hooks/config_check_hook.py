"""Checks the config before anything is trained, whoever started the training."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS


@HOOKS.register_module()
class ConfigCheckHook(Hook):
    """Stop a training whose config contradicts itself, and name every contradiction.

    ``tools/train.py`` of this package checks the config before it builds anything, and
    the hook does not do it again. With the hook MMSegmentation's own ``tools/train.py``
    finds the same, once the model is built, and before the first step.

    Examples:
        >>> default_hooks = dict(config_check=dict(type='ConfigCheckHook'))
    """

    # Before the data are read.
    priority = 5

    def before_train(self, runner: Runner) -> None:
        """Check the config that the runner was built from.

        Raises:
            ConfigCheckError: Names every problem.
        """
        from mcdrl_mmseg.engine.config_check import check_config, was_checked

        # Of a runner that was built from objects there is nothing to check.
        if runner.cfg.get('model') and not was_checked(runner.cfg):
            check_config(runner.cfg)
