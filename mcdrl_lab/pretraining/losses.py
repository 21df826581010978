"""Losses of the pretraining: captions against images, and regions against classes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def caption_loss(logits: Tensor, true: Tensor) -> Tensor:
    """CLIP's symmetric loss where a caption may be true of several images.

    Simulated scenes share few words, so many captions of a batch are true of several
    images. Treating these as negatives would push a class away from itself. As in UniCL
    (Yang et al., CVPR 2022), all true pairs of a row or column share its target.

    Args:
        logits: (T, B), scaled cosines of captions and images.
        true: (T, B) bool; at least one per row and column.

    Returns:
        Scalar, the mean over both directions.
    """
    losses = []
    for dim in (0, 1):
        target = true.float() / true.sum(dim, keepdim=True)
        losses.append(-(target * logits.log_softmax(dim)).sum(dim).mean())
    return sum(losses) / 2


def region_loss(
    logits: Tensor, lesions: Tensor, shares: Tensor, classes: int
) -> Tensor:
    """Cross-entropy of every position against lesion classes and healthy tissue.

    Region-text alignment as in RegionCLIP (Zhong et al., CVPR 2022), with cells of the
    grid as regions. The target of a position is the scene's lesion, weighted by the
    share of the cell that the lesion fills, and healthy tissue for the rest.

    Args:
        logits: (B, K + H, h, w), scaled cosines with K class texts and H texts of
            healthy tissue.
        lesions: (B,) number of the class, negative for none.
        shares: (B, h, w), share of each cell that is lesion.
        classes: K.

    Returns:
        Scalar, the mean over positions.
    """
    log_probability = logits.log_softmax(dim=1)
    healthy = log_probability[:, classes:].logsumexp(dim=1)
    rows = torch.arange(len(lesions), device=logits.device)
    lesion = log_probability[rows, lesions.clamp(min=0)]
    return -(shares * lesion + (1 - shares) * healthy).mean()


def cell_shares(masks: Tensor, grid: tuple[int, int]) -> Tensor:
    """Share of each cell that a mask fills.

    Args:
        masks: (B, H, W) bool.
        grid: Height and width of the grid; they divide H and W.

    Returns:
        (B, h, w) float32.
    """
    return F.adaptive_avg_pool2d(masks.float().unsqueeze(1), grid).squeeze(1)
