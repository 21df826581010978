"""Moves the gate of the causal intervention during training."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmseg.registry import HOOKS

from mcdrl_mmseg.engine.runner import find_parts
from mcdrl_mmseg.models import CausalIntervention


@HOOKS.register_module()
class InterventionWarmupHook(Hook):
    """Hold the gate at 0 until ``begin``, then open it at once or along a ramp.

    The gate depends only on epoch and batch, or on the iteration, so a resumed run has
    the same gate as an uninterrupted one. It is logged as ``gate``.

    Args:
        begin: Epochs (or iterations) trained before the intervention starts; epoch
            10 of 50 in the paper.
        ramp: Epochs (or iterations) over which the gate rises linearly from 0 to 1;
            0 opens it at once.
        by_epoch: Whether ``begin`` and ``ramp`` count epochs.
        of_schedule: Whether they are shares of the whole schedule instead, in [0, 1]:
            ``begin=0.2`` is epoch 10 of 50, or iteration 4 of 20. Works with any loop;
            ``by_epoch`` is then ignored.

    Raises:
        ValueError: ``begin`` or ``ramp`` is negative, or a share of more than 1.

    Examples:
        >>> custom_hooks = [
        ...     dict(type='ConfounderDictionaryHook'),
        ...     dict(type='InterventionWarmupHook', begin=10, ramp=5)]
    """

    priority = 'NORMAL'

    def __init__(
        self,
        begin: float = 10,
        ramp: float = 0,
        by_epoch: bool = True,
        of_schedule: bool = False,
    ) -> None:
        if begin < 0 or ramp < 0:
            raise ValueError(
                f'InterventionWarmupHook: begin={begin} and ramp={ramp} must be 0 or '
                'more.'
            )
        if of_schedule and begin + ramp > 1:
            raise ValueError(
                f'InterventionWarmupHook: begin={begin} and ramp={ramp} are shares of '
                'the schedule (of_schedule=True) and must not add up to more than 1; '
                'set of_schedule=False to count epochs or iterations.'
            )
        self.begin = begin
        self.ramp = ramp
        self.by_epoch = by_epoch
        self.of_schedule = of_schedule

    def gate_at(self, progress: float) -> float:
        """The gate.

        Args:
            progress: Epochs (may be fractional), iterations or share of the schedule
                trained so far.

        Returns:
            The gate in [0, 1].
        """
        if progress < self.begin:
            return 0.0
        if self.ramp == 0:
            return 1.0
        return min((progress - self.begin) / self.ramp, 1.0)

    def before_train(self, runner: Runner) -> None:
        """Check the schedule's unit and set the gate.

        Raises:
            ValueError: ``by_epoch`` with a loop that counts iterations.
        """
        by_epoch = self.by_epoch and not self.of_schedule
        if by_epoch and not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise ValueError(
                'InterventionWarmupHook: by_epoch=True needs an EpochBasedTrainLoop, '
                f'got {type(runner.train_loop).__name__}. Set by_epoch=False and give '
                'begin and ramp in iterations.'
            )
        self._interventions = find_parts(runner, CausalIntervention)
        if not self._interventions:
            runner.logger.warning(
                'InterventionWarmupHook finds no CausalIntervention in the model and '
                'does nothing.'
            )
        self._set_gate(runner, 0)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Set the gate of the coming step."""
        self._set_gate(runner, batch_idx)

    def _set_gate(self, runner: Runner, batch_idx: int) -> None:
        progress = runner.iter
        if self.of_schedule:
            progress = _steps(runner, batch_idx) / runner.max_iters
        elif self.by_epoch:
            progress = _steps(runner, batch_idx) / len(runner.train_dataloader)
        gate = self.gate_at(progress)
        for intervention in self._interventions:
            intervention.gate.fill_(gate)
        if self._interventions:
            runner.message_hub.update_scalar('train/gate', gate)


def _steps(runner: Runner, batch_idx: int) -> int:
    """Steps so far, as if all epochs had the length of the current one.

    After resuming with another batch size ``runner.iter`` counts more, or fewer.
    """
    if not isinstance(runner.train_loop, EpochBasedTrainLoop):
        return runner.iter
    return runner.epoch * len(runner.train_dataloader) + batch_idx
