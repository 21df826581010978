"""ZeRO stage 1: every process keeps its share of the optimiser's state.

A hook gathers the shares before a checkpoint is written.
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
    """MMEngine's ``ZeroRedundancyOptimizer``, whose runs can be saved.

    The original gathers the shares whenever its state is read, which takes all
    processes; a checkpoint is written by the first alone, and would wait for the others
    for ever. Here :class:`ZeroCheckpointHook` gathers beforehand.

    Needs several processes, or one that a launcher started.

    Args:
        params: Weights; MMEngine gives them, a config cannot.
        optimizer_type: Name of the optimiser in ``torch.optim`` that is sharded.
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
        """State of all shares as gathered last, on the first process; else empty.

        Raises:
            RuntimeError: Nothing was gathered yet.
        """
        return TorchZero.state_dict(self) if is_main_process() else {}


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
