"""The resumable training loop of a pretraining."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from mcdrl_common import InputError
from mcdrl_common.atomic_write import atomic_write

CHECKPOINT = 'checkpoint.pth'
BETAS = (0.9, 0.98)
"""AdamW's betas."""
_LOG_EVERY = 10


class PretrainingError(InputError, RuntimeError):
    """The training cannot continue; the message says why and what to do."""


def learning_share(settings: Any, step: int) -> float:
    """Factor on the learning rate at a step: linear warm-up, then cosine decay to 0.

    Args:
        settings: Dataclass of the training, with ``warmup_steps`` and ``steps``.
        step: Number of the step, from 0.
    """
    warmup = min(1.0, (step + 1) / settings.warmup_steps)
    return warmup * 0.5 * (1 + math.cos(math.pi * step / settings.steps))


class Training:
    """A model in training, resumed from the checkpoint of its work folder, if any.

    Args:
        work_dir: Folder of the checkpoint.
        settings: Dataclass of the training, with its number of ``steps``.
        model: Gets the weights of the checkpoint, if there is one.
        optimizer: Gets the state of the checkpoint, likewise.

    Raises:
        PretrainingError: The checkpoint has other settings.
    """

    def __init__(
        self,
        work_dir: str | os.PathLike,
        settings: Any,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        self.path = Path(work_dir) / CHECKPOINT
        self.settings, self.model, self.optimizer = settings, model, optimizer
        self.begin = self._resume()

    def run(
        self,
        train_step: Callable[[int], Mapping[str, Tensor]],
        log: Callable[[str], None],
        save_every: int,
    ) -> None:
        """Run the remaining steps.

        Args:
            train_step: Runs the step with this number; returns its losses.
            log: Called with lines about the progress.
            save_every: Steps between two checkpoints.

        Raises:
            PretrainingError: A loss is not finite.
        """
        steps = self.settings.steps
        started, window = time.monotonic(), []
        for done in range(self.begin + 1, steps + 1):
            losses = {k: loss.item() for k, loss in train_step(done - 1).items()}
            if not all(map(math.isfinite, losses.values())):
                raise PretrainingError(
                    f'step {done}: the loss is not finite: {losses}. Lower the '
                    'learning rate and start in a new folder.'
                )
            window.append(losses)
            if done % _LOG_EVERY == 0 or done == steps:
                seconds = (time.monotonic() - started) / (done - self.begin)
                words = '  '.join(
                    f'{name} {fmean(each[name] for each in window):.3f}'
                    for name in losses
                )
                left = seconds * (steps - done) / 60
                log(f'step {done}/{steps}  {words}  {left:.0f} min left')
                window = []
            if done % save_every == 0 or done == steps:
                self._save(done)

    def update(self, loss: Tensor, max_logit_scale: float) -> None:
        """Update the weights.

        Args:
            loss: Loss to minimise.
            max_logit_scale: Upper limit of the model's ``logit_scale``.
        """
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, max_logit_scale)

    def _resume(self) -> int:
        """Load the checkpoint, if there is one; returns the number of steps done."""
        if not self.path.is_file():
            return 0
        state = torch.load(self.path, map_location='cpu', weights_only=True)
        if state['settings'] != asdict(self.settings):
            raise PretrainingError(
                f'{self.path} was trained with {state["settings"]}; now asked for: '
                f'{asdict(self.settings)}. Choose another --work-dir.'
            )
        self.model.load_state_dict(state['model'])
        self.optimizer.load_state_dict(state['optimizer'])
        return state['step']

    def _save(self, done: int) -> None:
        state = dict(
            settings=asdict(self.settings),
            step=done,
            model=self.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
        )
        with atomic_write(self.path) as temporary:
            torch.save(state, temporary)
