"""The runner that inserts MCDRL into its config, and what hooks do with its model."""

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
    """MMEngine's runner on :func:`insert_mcdrl` of its config.

    Named by ``runner_type``, which MMSegmentation's tools read. The config that it
    writes into the work folder and into checkpoints is the one with MCDRL in it.

    Examples:
        >>> _base_ = ['./segformer_mit-b0.py', './_base_/mcdrl.py']
        >>> runner_type = 'MCDRLRunner'
    """

    @classmethod
    def from_cfg(cls, cfg: Config) -> Runner:
        """Build a runner, once the config with MCDRL in it is found to be right.

        Args:
            cfg: Config with an entry ``mcdrl``, see ``configs/_base_/mcdrl.py``.

        Raises:
            ConfigCheckError: Something is wrong with it.
        """
        from .config_check import check_config
        from .hooks import ConfigCheckHook
        from .insertion import insert_mcdrl

        cfg = insert_mcdrl(cfg)
        # Whether it is to train or to test is not known here.
        check_config(cfg, training=False)
        runner = super().from_cfg(cfg)
        if not any(isinstance(hook, ConfigCheckHook) for hook in runner.hooks):
            # For what is loaded: the project's own config has no such hook.
            runner.register_hook(hook := ConfigCheckHook())
            hook.checked = True
        return runner

    def train(self) -> nn.Module:
        """Train; what only a training needs is checked first.

        Raises:
            ConfigCheckError: The intervention would never begin, or weights to start
                from are not there.
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
    """Run a model in evaluation; its mode and all random states are put back.

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
    """Give the model the weights that a checkpoint of now holds as the model's.

    They are others where ``EMAHook`` averages them, which saves the averages.

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
