"""Share of a step that each part of the model takes, read from PyTorch's profiler."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from mcdrl_mmseg.models import CausalInterventionHead
from mcdrl_mmseg.models.last_decode_head import last_decode_head

TOWER, SELECTION, INTERVENTION = 'tower', 'selection', 'intervention'
PREDICTOR, LOSSES, REST = 'predictor', 'losses', 'rest'
PARTS = (TOWER, SELECTION, INTERVENTION, PREDICTOR, LOSSES, REST)
_LABEL = 'part: '


def _methods(model: nn.Module) -> Iterator[tuple[object, str, str]]:
    """Owner, name and part of every method to mark; the innermost mark counts."""
    yield model.backbone, 'forward', TOWER
    head = last_decode_head(model)
    # Other heads may have a predictor too, which is only part of their forward pass.
    own = isinstance(head, CausalInterventionHead)
    predictor = head.predictor if own else head
    yield predictor, 'forward', PREDICTOR
    yield predictor, 'loss_by_feat', LOSSES
    if not own:
        return
    # Gathering and scattering of positions count as selection.
    yield head, 'intervene', SELECTION
    for intervention in head.interventions:
        yield intervention, 'forward', INTERVENTION
    for loss in (head.loss_causal, head.loss_contrast):
        if loss is not None:
            yield loss, 'forward', LOSSES


@contextmanager
def labelled(model: nn.Module) -> Iterator[None]:
    """Mark the parts of a segmentor for the profiler.

    Args:
        model: A segmentor, with MCDRL or stock.
    """

    def mark(method: Callable, part: str) -> Callable:
        def run(*args: Any, **kwargs: Any) -> Any:
            with record_function(_LABEL + part):
                return method(*args, **kwargs)

        return run

    # Other heads, as a list of heads, may lack a method.
    watched = [entry for entry in _methods(model) if hasattr(*entry[:2])]
    for owner, name, part in watched:
        # Set on the instance, where it shadows the class's method.
        setattr(owner, name, mark(getattr(owner, name), part))
    try:
        yield
    finally:
        for owner, name, _ in watched:
            delattr(owner, name)


def shares(
    model: nn.Module, step: Callable[[], object], rounds: int, device: str = 'cpu'
) -> dict[str, float]:
    """Share of each part in the time of a step, backward pass included.

    An operation of the backward pass counts for the part of its forward operation; the
    profiler gives both the same sequence number. Everything else (the optimiser,
    normalisation of images) is the rest.

    Args:
        model: The model that the step runs; must not be compiled, since a compiled
            model has no separate parts.
        step: The step.
        rounds: Recorded steps, after one warm-up step.
        device: Where it runs.

    Returns:
        Part -> share; the shares sum to 1.
    """
    on_gpu = device.startswith('cuda')
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu
    with labelled(model):
        step()
        with profile(activities=activities) as profiler:
            for _ in range(rounds):
                step()
    events = profiler.events()
    owners: dict[int, str] = {}
    for event in events:
        part = _part(event)
        if part is not None and event.sequence_nr >= 0:
            owners.setdefault(event.sequence_nr, part)
    times: dict[str, float] = defaultdict(float)
    for event in events:
        part = _part(event) or _backward_part(event, owners) or REST
        if event.name.startswith(_LABEL) and on_gpu:
            continue
        times[part] += (
            event.self_device_time_total if on_gpu else event.self_cpu_time_total
        )
    total = sum(times.values())
    return {part: times[part] / total for part in PARTS}


def _part(event: Any) -> str | None:
    while event is not None:
        if event.name.startswith(_LABEL):
            return event.name.removeprefix(_LABEL)
        event = event.cpu_parent
    return None


def _backward_part(event: Any, owners: dict[int, str]) -> str | None:
    while event is not None:
        if event.name.startswith('autograd::engine::evaluate_function'):
            return owners.get(event.sequence_nr)
        event = event.cpu_parent
    return None
