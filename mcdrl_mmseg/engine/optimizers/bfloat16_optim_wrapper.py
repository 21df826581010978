"""Mixed precision where MMEngine's AmpOptimWrapper refuses to run: on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmseg.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Train in bfloat16 by autocast, with weights and optimiser in float32.

    bfloat16 has the range of float32, so that losses need no scaling, and a step is
    otherwise that of ``OptimWrapper``. Works on a CPU and on a GPU that has bfloat16;
    ``AmpOptimWrapper`` works on a GPU alone. Takes the arguments of ``OptimWrapper``.

    Examples:
        >>> optim_wrapper = dict(
        ...     type='BFloat16OptimWrapper',
        ...     optimizer=dict(type='AdamW', lr=1e-4))
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run a step's forward pass in bfloat16.

        Args:
            model: The model, whose device decides.
        """
        device_type = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device_type, torch.bfloat16):
            yield
