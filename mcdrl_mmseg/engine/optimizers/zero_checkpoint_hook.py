"""Gathers the shares of a ZeRO optimiser before a checkpoint is written."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from .zero_optimizer import ZeroOptimizer


@HOOKS.register_module()
class ZeroCheckpointHook(Hook):
    """Let all processes take part in saving, as :class:`ZeroOptimizer` needs it.

    A checkpoint then holds the whole optimiser, in the form of the optimiser that is
    sharded: it can be resumed with another number of processes, or without ZeRO.

    Examples:
        >>> custom_hooks = [dict(type='ZeroCheckpointHook')]
        >>> optim_wrapper = dict(optimizer=dict(type='ZeroOptimizer', lr=1e-4))
    """

    def before_train(self, runner: Runner) -> None:
        """Put the gathering before ``runner.save_checkpoint``.

        Raises:
            ValueError: The optimiser is another one.
        """
        optimizer = runner.optim_wrapper.optimizer
        if not isinstance(optimizer, ZeroOptimizer):
            raise ValueError(
                'ZeroCheckpointHook needs optim_wrapper.optimizer.type='
                f"'ZeroOptimizer', got {type(optimizer).__name__}."
            )
        save = runner.save_checkpoint

        def gather_and_save(
            *args: Any, save_optimizer: bool = True, **kwargs: Any
        ) -> None:
            if save_optimizer:
                optimizer.consolidate_state_dict(to=0)
            save(*args, save_optimizer=save_optimizer, **kwargs)

        runner.save_checkpoint = gather_and_save
