"""Finding the plug-in's parts in the model of a runner."""

from __future__ import annotations

from typing import TypeVar

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

Part = TypeVar('Part', bound=nn.Module)


def unwrap_model(runner: Runner) -> nn.Module:
    """The runner's model without a distributed wrapper."""
    model = runner.model
    while is_model_wrapper(model):
        model = model.module
    return model


def find_parts(runner: Runner, kind: type[Part]) -> list[Part]:
    """All modules of a kind in the runner's model."""
    return [m for m in unwrap_model(runner).modules() if isinstance(m, kind)]
