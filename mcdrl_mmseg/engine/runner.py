"""The runner that inserts MCDRL into its config, and helpers for a runner's model."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import RUNNERS
from torch import nn

Part = TypeVar('Part', bound=nn.Module)


@RUNNERS.register_module()
class MCDRLRunner(Runner):
    """MMEngine's runner, which first applies :func:`insert_mcdrl` to its config.

    Chosen by ``runner_type``, which MMSegmentation's tools read. Work folder and
    checkpoints get the config with MCDRL inserted.

    Examples:
        >>> _base_ = ['./segformer_mit-b0.py', './_base_/mcdrl.py']
        >>> runner_type = 'MCDRLRunner'
    """

    @classmethod
    def from_cfg(cls, cfg: Config) -> Runner:
        """Insert MCDRL into a config, check it, and build a runner.

        Args:
            cfg: Config with an entry ``mcdrl``, see ``configs/_base_/mcdrl.py``.

        Raises:
            ConfigCheckError: The config has problems.
        """
        from .config_check import check_config
        from .hooks import ConfigCheckHook
        from .insertion import insert_mcdrl

        cfg = insert_mcdrl(cfg)
        # Whether a training or a test follows is not known here.
        check_config(cfg, training=False)
        runner = super().from_cfg(cfg)
        if not any(isinstance(hook, ConfigCheckHook) for hook in runner.hooks):
            # It checks loaded checkpoints; a stock config has no such hook.
            runner.register_hook(hook := ConfigCheckHook())
            hook.checked = True
        return runner

    def train(self) -> nn.Module:
        """Check the config for a training as well, and train.

        Raises:
            ConfigCheckError: The config has problems, as an intervention that would
                never start, or missing initial weights.
        """
        from .config_check import check_config

        check_config(self.cfg)
        return super().train()


def unwrap_model(runner: Runner) -> nn.Module:
    """The runner's model without a distributed wrapper."""
    model = runner.model
    while is_model_wrapper(model):
        model = model.module
    return model


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Context in evaluation mode; mode and random states are restored afterwards.

    Args:
        model: The model.
    """
    was_training = model.training
    python_state, numpy_state = random.getstate(), np.random.get_state()
    try:
        model.eval()
        with torch.random.fork_rng(), torch.no_grad():
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        model.train(was_training)


@contextmanager
def saved_weights(runner: Runner) -> Iterator[None]:
    """Context in which the model has the weights that a checkpoint would hold.

    Under ``EMAHook`` these are the averages.

    Args:
        runner: A training.
    """
    averages = [hook for hook in runner.hooks if isinstance(hook, EMAHook)]
    for hook in averages:
        hook.before_val_epoch(runner)
    try:
        yield
    finally:
        for hook in reversed(averages):
            hook.after_val_epoch(runner)


def find_parts(runner: Runner, kind: type[Part]) -> list[Part]:
    """All modules of a kind in the runner's model."""
    return [m for m in unwrap_model(runner).modules() if isinstance(m, kind)]
