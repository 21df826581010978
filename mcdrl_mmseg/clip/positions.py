"""Positional embeddings of an image tower, fitted to any token grid."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def fit_position_grid(
    positions: Tensor, grid: tuple[int, int], learned: tuple[int, int] | None = None
) -> Tensor:
    """Interpolate grid positions; the first row, of the pooled token, stays.

    Args:
        positions: (1 + h * w, c), learned on a grid of h x w tokens.
        grid: Height and width wanted, in tokens.
        learned: h and w; None for a square grid.

    Returns:
        (1 + grid[0] * grid[1], c); the input itself if the grid is the same.
        Bicubic with antialiasing, as in open_clip's ``resize_pos_embed``.
    """
    # A plain int even under jit.trace, which counting operations uses.
    side = math.isqrt(len(positions) - 1)
    height, width = learned or (side, side)
    # An exported graph of variable size, if it asked, would refuse the learned grid.
    variable = any(isinstance(length, torch.SymInt) for length in grid)
    if not variable and (height, width) == tuple(grid):
        return positions
    first, rest = positions[:1], positions[1:]
    rest = rest.reshape(1, height, width, -1).permute(0, 3, 1, 2)
    rest = F.interpolate(
        rest.float(), size=grid, mode='bicubic', antialias=True, align_corners=False
    )
    rest = rest.flatten(2).squeeze(0).transpose(0, 1).to(positions.dtype)
    return torch.cat([first, rest])
