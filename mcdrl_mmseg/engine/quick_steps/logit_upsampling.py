"""Resizes logits to the labels' size by two matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any
from unittest import mock

import torch
from mmseg.models.decode_heads import decode_head
from torch import Tensor
from torch.nn import functional as F

# Matrix products are faster from this factor on. Logits are upsampled by 4 to 32, maps
# within heads often only by 2.
_LEAST_FACTOR = 4


def quick_logit_upsampling() -> AbstractContextManager[object]:
    """Context in which heads resize their logits by :func:`upsample_bilinear`.

    On a CPU torch's own function takes two to five times as long, backward pass
    included, as long as a small head. It is replaced as ``resize`` in the heads'
    module. Without gradients mmseg's function is used, so that a validation during
    training equals a later test bit for bit.
    """
    stock = decode_head.resize

    def quick(*args: Any, **kwargs: Any) -> Tensor:
        if not args and set(kwargs) <= _ARGUMENTS and _is_quicker(**kwargs):
            return upsample_bilinear(kwargs['input'], kwargs['size'])
        return stock(*args, **kwargs)

    return mock.patch.object(decode_head, 'resize', quick)


_ARGUMENTS = {'input', 'size', 'mode', 'align_corners', 'warning'}


def _is_quicker(
    input: Tensor | None = None,
    size: Sequence[int] | None = None,
    mode: str = 'nearest',
    align_corners: bool | None = None,
    warning: bool = True,
) -> bool:
    if input is None or size is None or mode != 'bilinear' or align_corners:
        return False
    return (
        input.requires_grad
        and torch.is_grad_enabled()
        and input.device.type == 'cpu'
        and input.dtype == torch.float32
        and all(to >= _LEAST_FACTOR * side for to, side in zip(size, input.shape[2:]))
    )


def upsample_bilinear(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear interpolation (``align_corners=False``), one axis after the other.

    Args:
        maps: (B, C, h, w).
        size: H and W.

    Returns:
        (B, C, H, W), contiguous.
    """
    batch, channels, height, width = maps.shape
    across, down = (
        _weights(side, int(to), maps.dtype)
        for side, to in ((width, size[1]), (height, size[0]))
    )
    # In the maps' own precision.
    with torch.autocast(maps.device.type, enabled=False):
        rows = maps.reshape(-1, width) @ across.T
        rows = rows.view(batch * channels, height, -1)
        return (down @ rows).view(batch, channels, *size)


@lru_cache(maxsize=64)
def _weights(side: int, to: int, dtype: torch.dtype) -> Tensor:
    """Weights of torch's linear interpolation of a line, (to, side)."""
    with torch.no_grad():
        ones = torch.eye(side, dtype=dtype).unsqueeze(0)
        return F.interpolate(ones, size=to, mode='linear', align_corners=False)[0].T
