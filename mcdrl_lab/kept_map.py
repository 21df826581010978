"""Mask of the positions that the region selection keeps, at the image's size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def kept_map(indices: Tensor, grid: Sequence[int], size: Sequence[int]) -> Tensor:
    """Mark the pixels of the kept positions.

    Args:
        indices: (B, N) indices of the kept positions, counted row by row.
        grid: Height and width of the dense map.
        size: Height and width of the result.

    Returns:
        (B, 1, H, W) float32, 1 where kept and 0 elsewhere.
    """
    height, width = grid
    kept = torch.zeros(len(indices), height * width, device=indices.device)
    kept = kept.scatter(1, indices, 1.0).view(-1, 1, height, width)
    return F.interpolate(kept, size=tuple(size), mode='nearest')
