"""Smooth random maps: the pseudo-correlation maps of IPA.

Ouyang et al., "Causality-inspired single-source domain generalization for medical
image segmentation", IEEE TMI 2023, section III-C.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from scipy.interpolate import BSpline
from torch import Tensor

_DEGREE = 3


@lru_cache(maxsize=32)
def spline_basis(size: int, spacing: int) -> Tensor:
    """Uniform cubic B-splines at the pixels of a line.

    Args:
        size: Number of pixels.
        spacing: Pixels between control points.

    Returns:
        (size, number of control points), float32; rows sum to 1.
    """
    spans = -(-size // spacing)
    knots = spacing * np.arange(-_DEGREE, spans + _DEGREE + 1, dtype=float)
    pixels = np.arange(size) + 0.5
    basis = BSpline.design_matrix(pixels, knots, _DEGREE).toarray()
    return torch.from_numpy(basis).float()


def draw_blending_maps(
    count: int, size: tuple[int, int], spacing: int, like: Tensor
) -> Tensor:
    """Draw maps: uniform control points, interpolated by cubic B-splines.

    Args:
        count: B, number of maps.
        size: Height and width in pixels.
        spacing: Pixels between control points.
        like: Tensor whose device the maps are on.

    Returns:
        (B, 1, H, W), float32, stretched to reach from 0 to 1 in each map.
    """
    rows, columns = (spline_basis(n, spacing).to(like.device) for n in size)
    points = torch.rand(count, rows.shape[1], columns.shape[1], device=like.device)
    maps = (rows @ points @ columns.t()).unsqueeze(1)
    low, high = maps.amin((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
    return (maps - low) / (high - low)
