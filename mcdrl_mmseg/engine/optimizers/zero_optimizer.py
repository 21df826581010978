"""ZeRO stage 1: every process keeps a shard of the optimizer state.

A hook gathers the shards before a checkpoint is written.
"""

from __future__ import annotations

from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.optim import ZeroRedundancyOptimizer
from mmengine.registry import OPTIMIZERS
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch.distributed.optim import ZeroRedundancyOptimizer as TorchZero


@OPTIMIZERS.register_module()
class ZeroOptimizer(ZeroRedundancyOptimizer):
    """MMEngine's ``ZeroRedundancyOptimizer``, but checkpoints can be saved.

    The original gathers the shards whenever its state is read, which needs all
    processes. As only the first process writes a checkpoint, it would wait forever for
    the others. Here :class:`ZeroCheckpointHook` gathers the shards beforehand.

    Needs processes started by a launcher, even for a single one.

    Args:
        params: Weights, passed by MMEngine and not by a config.
        optimizer_type: Name of the sharded optimizer in ``torch.optim``.
        **kwargs: Its arguments, and those of torch's ``ZeroRedundancyOptimizer``.

    Examples:
        >>> custom_hooks = [dict(type='ZeroCheckpointHook')]
        >>> optim_wrapper = dict(
        ...     optimizer=dict(
        ...         type='ZeroOptimizer', optimizer_type='AdamW', lr=1e-4))
    """

    def __init__(
        self, params: Any = (), optimizer_type: str = 'AdamW', **kwargs: Any
    ) -> None:
        super().__init__(params, optimizer_type, **kwargs)

    def state_dict(self) -> dict[str, Any]:
        """State as gathered last, on the first process; empty on the others.

        Raises:
            RuntimeError: Nothing was gathered yet.
        """
        return TorchZero.state_dict(self) if is_main_process() else {}


@HOOKS.register_module()
class ZeroCheckpointHook(Hook):
    """Let all processes take part in saving, as :class:`ZeroOptimizer` requires.

    A checkpoint then holds the whole state of the sharded optimizer in its own format:
    it can be resumed with another number of processes, or without ZeRO.

    Examples:
        >>> custom_hooks = [dict(type='ZeroCheckpointHook')]
        >>> optim_wrapper = dict(optimizer=dict(type='ZeroOptimizer', lr=1e-4))
    """

    def before_train(self, runner: Runner) -> None:
        """Wrap ``runner.save_checkpoint``, so that it gathers the shards first.

        Raises:
            ValueError: The optimizer is not a ``ZeroOptimizer``.
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
