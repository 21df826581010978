"""Prevents a NaN or infinite loss from corrupting the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from mmengine.dist import all_gather_object, get_rank
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import Optimizer

from mcdrl_common import InputError
from mcdrl_mmseg.engine.runner import find_parts

_ACTIONS = ('stop', 'skip')
_FOLDER = 'non_finite'
_MAX_SAVED = 10


class NonFiniteLossError(InputError, RuntimeError):
    """A loss or a gradient was NaN or infinite; the message names step and images."""


@HOOKS.register_module()
class NonFiniteLossHook(Hook):
    """Drop an update with a NaN or infinite gradient, report it, and stop or continue.

    The hook checks the gradient norm right before the optimizer's step. If it is not
    finite, gradients are removed, so that the step changes neither weights nor
    optimizer state. As processes share their gradients, all drop the same update. After
    the step the message names the losses, and the batch is saved in
    ``<work_dir>/non_finite/``: a dict with ``inputs`` and ``masks`` as the model got
    them, ``img_paths``, ``losses`` and ``iter``, for
    ``torch.load(..., weights_only=True)``.

    An overflowing float16 gradient is no error: ``AmpOptimWrapper`` skips such a step
    itself and lowers its loss scale. With it the hook only checks the losses.

    Args:
        action: ``'stop'`` ends the run with an error. ``'skip'`` continues with the
            next batch; running statistics of batch norm are restored as well.
        max_consecutive: With ``'skip'``, number of bad batches in a row after which the
            run stops with an error.

    Raises:
        ValueError: Another action, or ``max_consecutive`` below 1.

    Examples:
        >>> custom_hooks = [dict(type='NonFiniteLossHook', action='skip')]
    """

    # Before EMA updates and checkpoints.
    priority = 'ABOVE_NORMAL'

    def __init__(self, action: str = 'stop', max_consecutive: int = 10) -> None:
        if action not in _ACTIONS:
            raise ValueError(
                f'NonFiniteLossHook: action={action!r} must be one of {_ACTIONS}.'
            )
        if max_consecutive < 1:
            raise ValueError(
                f'NonFiniteLossHook: max_consecutive={max_consecutive} must be 1 or '
                'more.'
            )
        self.action = action
        self.max_consecutive = max_consecutive
        self._dropped = False
        self._in_a_row = self._num_saved = 0
        self._statistics: list[tuple[Tensor, Tensor]] = []

    def before_train(self, runner: Runner) -> None:
        """Check the gradients before every step of every optimizer."""
        for optimizer in _optimizers(runner):
            optimizer.register_step_pre_hook(self._drop_non_finite)

    def _drop_non_finite(self, optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
        if getattr(optimizer, 'found_inf', None) is not None:
            # A fused optimizer under loss scaling skips the step by itself.
            return
        parameters = [p for group in optimizer.param_groups for p in group['params']]
        # With an infinite limit this only computes the norm.
        norm = torch.nn.utils.clip_grad_norm_(parameters, math.inf)
        if not math.isfinite(norm):
            self._dropped = True
            # An optimizer skips parameters without a gradient.
            for parameter in parameters:
                parameter.grad = None

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Copy the running statistics, which a bad batch would corrupt."""
        self._dropped = False
        if self.action == 'skip':
            self._statistics = [
                (buffer, buffer.clone())
                for norm in find_parts(runner, _NormBase)
                for buffer in norm.buffers(recurse=False)
            ]

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Report non-finite losses and gradients.

        Raises:
            NonFiniteLossError: ``action='stop'``, or too many batches in a row.
        """
        outputs = outputs or {}
        losses = {key: value.item() for key, value in outputs.items() if 'loss' in key}
        bad = {key: value for key, value in losses.items() if not math.isfinite(value)}
        if not bad and not self._dropped:
            self._in_a_row = 0
            return
        self._in_a_row += 1
        for buffer, before in self._statistics:
            buffer.copy_(before)
        found = self._describe(runner, bad, losses, data_batch or {})
        if self._dropped:
            # All ranks dropped the update and get here. A non-finite loss without a
            # dropped update may be on one rank only, which must not wait for others.
            found = '\n'.join(all_gather_object(found))
        message = (
            f'Training step {runner.iter + 1} (epoch {runner.epoch + 1}):\n{found}'
        )
        if self.action == 'stop':
            raise NonFiniteLossError(
                f'{message}\nAll checkpoints are from before this step. Look at the '
                'images, lower the learning rate or clip the gradients (optim_wrapper.'
                'clip_grad), and go on with --resume. To skip such batches, set '
                "default_hooks.non_finite_loss.action='skip'."
            )
        if self._in_a_row >= self.max_consecutive:
            raise NonFiniteLossError(
                f'{message}\nThis happened in {self._in_a_row} steps in a row: '
                'skipping batches does not help. Look at the images, lower the '
                'learning rate or clip the gradients (optim_wrapper.clip_grad).'
            )
        runner.logger.warning(
            f'{message}\nThe {"batch is skipped" if self._dropped else "run goes on"}.'
        )

    def _describe(
        self, runner: Runner, bad: dict, losses: dict, data_batch: dict
    ) -> str:
        """One line about the losses and images of this rank."""
        what = ', '.join(f'{key} is {value}' for key, value in bad.items())
        what = what or 'the losses are finite, but the gradient is not'
        samples = data_batch.get('data_samples') or []
        paths = [str(sample.metainfo.get('img_path')) for sample in samples]
        kept = ''
        if self._num_saved < _MAX_SAVED:
            self._num_saved += 1
            name = f'iter_{runner.iter + 1}_rank{get_rank()}.pt'
            file = Path(runner.work_dir, _FOLDER, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            masks = [s.gt_sem_seg.data for s in samples if 'gt_sem_seg' in s]
            batch = dict(inputs=data_batch.get('inputs'), masks=masks, img_paths=paths)
            torch.save(dict(iter=runner.iter + 1, losses=losses, **batch), file)
            kept = f' (saved in {file})'
        return f'rank {get_rank()}: {what}. Images{kept}: {", ".join(paths)}'


def _optimizers(runner: Runner) -> Iterator[Optimizer]:
    wrapper = runner.optim_wrapper
    wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    for each in wrappers:
        yield each.optimizer
