"""The checkpoint that a pretraining goes on from when it was killed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mcdrl_common.atomic_write import atomic_write

CHECKPOINT = 'checkpoint.pth'


class PretrainingError(RuntimeError):
    """The training cannot go on; the message says why and what to do."""


def resume(
    path: Path, settings: Any, model: nn.Module, optimizer: torch.optim.Optimizer
) -> int:
    """Load weights and optimiser, if there is a checkpoint.

    Args:
        path: The checkpoint; need not exist.
        settings: Dataclass of the training.
        model: Is given the weights.
        optimizer: Is given its state.

    Returns:
        Steps done before, 0 without a checkpoint.

    Raises:
        PretrainingError: The checkpoint is of other settings.
    """
    if not path.is_file():
        return 0
    state = torch.load(path, map_location='cpu', weights_only=True)
    if state['settings'] != asdict(settings):
        raise PretrainingError(
            f'{path} was trained with {state["settings"]}, and now {asdict(settings)} '
            'is asked for. Name another --work-dir.'
        )
    model.load_state_dict(state['model'])
    optimizer.load_state_dict(state['optimizer'])
    return state['step']


def save(
    path: Path,
    settings: Any,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
) -> None:
    """Write the checkpoint that :func:`resume` reads.

    Args:
        path: The checkpoint; its folder is made.
        settings: Dataclass of the training.
        model: Its weights.
        optimizer: Its optimiser.
        step: Steps done.
    """
    state = dict(
        settings=asdict(settings),
        step=step,
        model=model.state_dict(),
        optimizer=optimizer.state_dict(),
    )
    with atomic_write(path) as temporary:
        torch.save(state, temporary)
