"""Parameters, FLOPs and peak memory, which do not depend on the machine's load."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.hooks import RemovableHandle


def count_parameters(model: nn.Module) -> int:
    """Number of parameters.

    Args:
        model: Any module.
    """
    return sum(parameter.numel() for parameter in model.parameters())


def count_flops(step: Callable[[], object]) -> int:
    """Floating-point operations of matrix products and convolutions, 2 x MACs.

    PyTorch counts them while the step runs, backward pass included. MMEngine's counter
    misses fused attention.

    Args:
        step: What to run, once.
    """
    fast_path = torch.backends.mha.get_fastpath_enabled()
    # The counter does not see fused kernels.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            step()
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    return counter.get_total_flops()


def peak_memory(
    model: nn.Module,
    step: Callable[[], object],
    device: str,
    optimizer: torch.optim.Optimizer | None = None,
) -> int:
    """Peak bytes of live tensors in the second of two steps.

    On a GPU this is what its allocator handed out. On a CPU PyTorch's memory tracker
    adds up live tensors: other processes do not affect it, and temporary workspaces
    inside operations are left out.

    Args:
        model: The model that the step runs.
        step: Called twice: the first call creates the optimiser's state.
        device: Where it runs.
        optimizer: Optimiser of a training step.
    """
    if device.startswith('cuda'):
        step()
        torch.cuda.reset_peak_memory_stats(device)
        step()
        return torch.cuda.max_memory_allocated(device)
    from torch.distributed._tools.mem_tracker import MemTracker

    step()
    tracker = MemTracker()
    tracker.track_external(*([model] if optimizer is None else [model, optimizer]))
    with _frozen_weights_take_hooks(), tracker:
        step()
    return tracker.get_tracker_snapshot('peak')[torch.device(device)]['Total']


@contextmanager
def _frozen_weights_take_hooks() -> Iterator[None]:
    """Make frozen weights accept gradient hooks, which would never be called.

    PyTorch's tracker registers hooks on the weights of every module that runs, also of
    a tower's copy with folded batch norms. Weights without gradients refuse them.
    """
    names = ('register_hook', 'register_post_accumulate_grad_hook')
    usual = {name: getattr(Tensor, name) for name in names}

    def tolerant(name: str) -> Callable[[Tensor, Callable], Any]:
        def register(tensor: Tensor, hook: Callable) -> Any:
            if tensor.requires_grad:
                return usual[name](tensor, hook)
            return RemovableHandle(OrderedDict())

        return register

    for name in names:
        setattr(Tensor, name, tolerant(name))
    try:
        yield
    finally:
        for name in names:
            setattr(Tensor, name, usual[name])
