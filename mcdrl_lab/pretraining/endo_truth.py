"""Which captions are true of which images, and the losses based on this."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .endo_samples import UNKNOWN
from .endo_words import SLIGHT, STRONG, Claim


def truth(
    claims: Sequence[Claim],
    lesions: np.ndarray,
    present: np.ndarray,
    strength: np.ndarray,
) -> np.ndarray:
    """Three-valued truth of every claim about every image.

    A claim is false if any of its parts is false, otherwise unknown if any part is.

    Args:
        claims: T claims.
        lesions: (B,) of :class:`~mcdrl_lab.pretraining.endo_samples.TrainingImage`.
        present: (B, 12), likewise.
        strength: (B, 12), likewise.

    Returns:
        (T, B) int8: 1, 0 or ``UNKNOWN``.
    """
    out = np.ones((len(claims), len(lesions)), np.int8)
    for row, claim in zip(out, claims):
        parts = []
        if claim.lesion is not None:
            known = lesions != UNKNOWN
            parts.append(np.where(known, lesions == claim.lesion, UNKNOWN))
        if claim.condition is not None:
            there = present[:, claim.condition]
            if claim.grade is not None:
                there = _graded(there, strength[:, claim.condition], claim.grade)
            parts.append(there)
        stacked = np.stack(parts)
        row[:] = np.where((stacked == UNKNOWN).any(axis=0), UNKNOWN, 1)
        row[(stacked == 0).any(axis=0)] = 0
    return out


def _graded(present: np.ndarray, strength: np.ndarray, grade: float) -> np.ndarray:
    slight, strong = strength < SLIGHT, strength > STRONG
    right, wrong = (slight, strong) if grade == SLIGHT else (strong, slight)
    out = np.full(len(present), UNKNOWN, np.int8)
    out[(present == 1) & right] = 1
    out[(present == 1) & wrong] = 0
    out[present == 0] = 0
    return out


def balanced_pair_loss(logits: Tensor, true: Tensor) -> Tensor:
    """SigLIP's pairwise sigmoid loss (Zhai et al., ICCV 2023), balanced for each text.

    A text's true images together weigh as much as its false ones, however rare either
    are in the batch. Pairs of unknown truth are left out.

    Args:
        logits: (T, B), scaled cosines of texts and images plus a bias.
        true: (T, B) int8, 1, 0 or ``UNKNOWN``.

    Returns:
        Scalar; 0 if no pair is known.
    """
    total, count = logits.new_zeros(()), 0
    for value, sign in ((1, 1.0), (0, -1.0)):
        chosen = (true == value).to(logits.dtype)
        number = chosen.sum(dim=1)
        losses = -F.logsigmoid(sign * logits) * chosen
        total = total + (losses.sum(dim=1) / number.clamp(min=1)).sum()
        count += int((number > 0).sum())
    return total / max(count, 1)


def dense_pair_loss(
    logits: Tensor, shares: Tensor, known: Tensor, polyps: int
) -> Tensor:
    """Pairwise sigmoid loss of every position with texts of lesions and healthy tissue.

    Args:
        logits: (B, P + H, h, w), scaled cosines with P texts of a lesion and H of
            healthy tissue, plus a bias.
        shares: (B, h, w), share of each cell that is lesion.
        known: (B,) bool, images that have a mask.
        polyps: P.

    Returns:
        Scalar, in which lesions and healthy tissue have equal weight.
    """
    inside = shares * known.view(-1, 1, 1)
    outside = (1 - shares) * known.view(-1, 1, 1)
    lesion, healthy = logits[:, :polyps], logits[:, polyps:]

    def mean_over(weights: Tensor) -> Tensor:
        sign = 1.0 if weights is inside else -1.0
        losses = -F.logsigmoid(sign * lesion).mean(dim=1)
        losses = losses - F.logsigmoid(-sign * healthy).mean(dim=1)
        return (losses * weights).sum() / weights.sum().clamp(min=1)

    return (mean_over(inside) + mean_over(outside)) / 4


def found_somewhere_loss(logits: Tensor, diseased: Tensor, share: float) -> Tensor:
    """Loss of images with a lesion but no mask: some positions must show the lesion.

    Args:
        logits: (B, P, h, w), with texts of a lesion.
        diseased: (B,) bool, images with a lesion at an unknown position.
        share: Share of the positions, the highest-scoring ones, that must show it.

    Returns:
        Scalar; 0 if there are no such images.
    """
    scores = logits.mean(dim=1).flatten(1)
    count = max(1, round(share * scores.shape[1]))
    losses = -F.logsigmoid(scores.topk(count, dim=1).values).mean(dim=1)
    weights = diseased.to(losses.dtype)
    return (losses * weights).sum() / weights.sum().clamp(min=1)


def as_tensor(array: np.ndarray) -> Tensor:
    """A tensor of an array, sharing its memory if the array is contiguous."""
    return torch.from_numpy(np.ascontiguousarray(array))
