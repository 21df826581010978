"""Parameters, FLOPs and peak memory: what does not depend on the machine's load."""

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

    Counted by PyTorch while the step runs, backward pass included. MMEngine's counter
    leaves fused attention out.

    Args:
        step: What to run, once.
    """
    fast_path = torch.backends.mha.get_fastpath_enabled()
    # Fused kernels are not seen by the counter.
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
    """Bytes of tensors alive at once, at most, in the second of two steps.

    On a GPU what its allocator handed out. On a CPU PyTorch's memory tracker adds up
    the tensors as they come and go, which no other process disturbs and which leaves
    out the inner workspaces of operations.

    Args:
        model: What runs.
        step: What to run, twice: the first makes the optimiser's state.
        device: Where it runs.
        optimizer: Of a step of training.
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
    """PyTorch's tracker puts gradient hooks on all weights, which frozen ones refuse.

    They would never be called. Weights are those of every module that runs, also of the
    copy without batch norms that a tower runs as in inference.
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
