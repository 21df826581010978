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
    """Train in bfloat16 by autocast, with weights and optimizer state in float32.

    bfloat16 has the range of float32, so losses need no scaling; otherwise a step is
    that of ``OptimWrapper``. Works on a CPU and on a GPU with bfloat16, whereas
    ``AmpOptimWrapper`` needs a GPU. Takes the arguments of ``OptimWrapper``.

    Examples:
        >>> optim_wrapper = dict(
        ...     type='BFloat16OptimWrapper',
        ...     optimizer=dict(type='AdamW', lr=1e-4))
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run a step's forward pass in bfloat16.

        Args:
            model: The model; its device selects the autocast device.
        """
        device_type = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device_type, torch.bfloat16):
            yield
