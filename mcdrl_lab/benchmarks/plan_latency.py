"""Cost of the variants of an ablation plan: milliseconds and parameters."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from mcdrl_common.model_settings import model_hash
from mcdrl_lab.plans.plan import Method
from mcdrl_lab.plans.prepared import load_method
from mcdrl_mmseg.engine.insertion import with_mcdrl
from mcdrl_mmseg.models.last_decode_head import last_decode_head

from .counting import count_parameters
from .latency import spread, time_in_turns
from .models import Subject
from .steps import Setting, inference_step


def intervention_parameters(model: nn.Module) -> int:
    """Number of parameters of a model's intervention; 0 if it has none.

    Args:
        model: A segmentor.
    """
    interventions = getattr(last_decode_head(model), 'interventions', [])
    return sum(count_parameters(each) for each in interventions)


def measure_latency(
    methods: Sequence[Method],
    size: int = 128,
    rounds: int = 100,
    threads: int = 1,
    device: str = 'cpu',
) -> list[dict[str, Any]]:
    """Time a forward pass of one image, from pixels to logits.

    The methods take turns, so that other load on the machine affects all alike.

    Args:
        methods: From :func:`~mcdrl_lab.plans.ablation.load_ablation`.
        size: Height and width in pixels.
        rounds: Passes of each method.
        threads: Threads that torch may use.
        device: As ``'cuda:0'``.

    Returns:
        For each method a dict of ``method``, ``model_hash`` (of its network, as in
        records), ``milliseconds`` (median), ``quartiles``, ``intervention_parameters``,
        ``parameters`` (of the whole model), and how it was measured.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        configs = [with_mcdrl(load_method(method)) for method in methods]
        models = [Subject(m.name, c).build() for m, c in zip(methods, configs)]
        setting = Setting(device=device, size=size)
        steps = [inference_step(model, setting) for model in models]
        times = time_in_turns(steps, rounds, device=device)
    finally:
        torch.set_num_threads(before)
    where = dict(
        size=size,
        rounds=rounds,
        threads=threads,
        device=device if device == 'cpu' else torch.cuda.get_device_name(device),
        machine=platform.machine(),
        torch=torch.__version__,
    )
    records = []
    for method, cfg, model, own in zip(methods, configs, models, times.T):
        taken = spread(own)
        records.append(
            dict(
                method=method.name,
                model_hash=model_hash(cfg.model),
                milliseconds=round(taken.median, 3),
                quartiles=[round(taken.low, 3), round(taken.high, 3)],
                intervention_parameters=intervention_parameters(model),
                parameters=count_parameters(model),
                **where,
            )
        )
    return records
