"""What the variants of an ablation plan cost: milliseconds and parameters."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn

from mcdrl_lab.plans.plan import Method
from mcdrl_lab.plans.prepared import load_method
from mcdrl_mmseg.models import ConfounderDictionary

_WARM_UP = 3


def build_variant(method: Method) -> nn.Module:
    """Build a method's model in evaluation mode, with a dictionary of noise.

    What a model costs depends neither on its weights nor on the texts.

    Args:
        method: From :func:`~mcdrl_lab.plans.ablation.load_ablation`.
    """
    cfg = load_method(method)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    return fill_with_noise(MODELS.build(cfg.model)).eval()


def fill_with_noise(model: nn.Module) -> nn.Module:
    """Fill a model's dictionary with random unit vectors.

    Args:
        model: A segmentor; one without a dictionary stays as it is.

    Returns:
        The model.
    """
    for module in model.modules():
        if isinstance(module, ConfounderDictionary):
            texts = torch.randn(len(module.texts), module.embed_dims)
            module.fill(nn.functional.normalize(texts, dim=1), '0' * 64)
    return model


def intervention_parameters(model: nn.Module) -> int:
    """Number of parameters of a model's intervention; 0 if it has none.

    Args:
        model: A segmentor.
    """
    intervention = getattr(model.decode_head, 'intervention', None)
    if intervention is None:
        return 0
    return sum(parameter.numel() for parameter in intervention.parameters())


@torch.no_grad()
def measure_latency(
    methods: Sequence[Method],
    size: int = 128,
    rounds: int = 100,
    threads: int = 1,
    device: str = 'cpu',
) -> list[dict[str, Any]]:
    """Time a forward pass of one image, from pixels to logits.

    The methods take turns, so that what else the machine does meets all alike.

    Args:
        methods: From :func:`~mcdrl_lab.plans.ablation.load_ablation`.
        size: Height and width in pixels.
        rounds: Passes of each method.
        threads: Threads that torch may use.
        device: As ``'cuda:0'``.

    Returns:
        For each method a dict of ``method``, ``milliseconds`` (median),
        ``quartiles``, ``intervention_parameters``, ``parameters`` (of the whole
        model), and how it was measured.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        models = [build_variant(method).to(device) for method in methods]
        image = torch.randn(1, 3, size, size, device=device)
        passes = [
            [_milliseconds(model, image) for model in models]
            for _ in range(_WARM_UP + rounds)
        ]
    finally:
        torch.set_num_threads(before)
    times = np.array(passes[_WARM_UP:])
    low, median, high = np.quantile(times, [0.25, 0.5, 0.75], axis=0).round(3)
    where = dict(
        size=size,
        rounds=rounds,
        threads=threads,
        device=device if device == 'cpu' else torch.cuda.get_device_name(device),
        machine=platform.machine(),
        torch=torch.__version__,
    )
    return [
        dict(
            method=method.name,
            milliseconds=float(median[n]),
            quartiles=[float(low[n]), float(high[n])],
            intervention_parameters=intervention_parameters(model),
            parameters=sum(p.numel() for p in model.parameters()),
            **where,
        )
        for n, (method, model) in enumerate(zip(methods, models))
    ]


def _milliseconds(model: nn.Module, image: torch.Tensor) -> float:
    start = time.perf_counter()
    model(image, mode='tensor')
    if image.is_cuda:
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start)
