"""The span of the confounders' text embeddings, and its removal from features."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Relative to the mean squared length of the differences. Without a ridge, texts with
# equal embeddings would make the linear system below singular.
_RIDGE = 1e-6
_MIN_RIDGE = 1e-12


class ConfounderSpan(NamedTuple):
    """The directions that tell the confounders apart; empty if M = 1.

    Attributes:
        coordinates: (d, M - 1), maps a token to its coordinates in the directions.
        directions: z_m - z_1, (M - 1, d).
    """

    coordinates: Tensor
    directions: Tensor


def confounder_span(entries: Tensor) -> ConfounderSpan:
    """The span of the differences z_m - z_1 of the confounders' text embeddings.

    Args:
        entries: Z, (M, d).
    """
    with torch.autocast(entries.device.type, enabled=False):
        entries = entries.to(torch.promote_types(entries.dtype, torch.float32))
        differences = entries[1:] - entries[:1]
        if not len(differences):
            return ConfounderSpan(differences.T, differences)
        gram = differences @ differences.T
        # Above 0 even if all texts have the same embedding.
        ridge = (_RIDGE * gram.diagonal().mean()).clamp(min=_MIN_RIDGE)
        gram = gram + ridge * torch.eye(len(gram)).to(gram)
        # Unlike solve, solve_ex checks no result, which would wait for the device.
        weights = torch.linalg.solve_ex(gram, differences).result
        return ConfounderSpan(weights.T, differences)


def remove_span(tokens: Tensor, span: ConfounderSpan) -> Tensor:
    """Remove the component of tokens in the confounders' span.

    In a joint image-text space the differences of the confounders' text embeddings span
    the directions that describe how an image was taken. The result does not depend on
    P(z).

    Args:
        tokens: F, (B, N, d), in the space of the entries.
        span: The entries' span.

    Returns:
        (B, N, d); the tokens themselves if M = 1.
    """
    if not len(span.directions):
        return tokens
    with torch.autocast(tokens.device.type, enabled=False):
        component = tokens.to(span.directions.dtype) @ span.coordinates
        component = component @ span.directions
    return tokens - component.to(tokens.dtype)


def remove_confounder_span(tokens: Tensor, entries: Tensor) -> Tensor:
    """Apply :func:`remove_span` with the span of the given entries.

    Args:
        tokens: F, (B, N, d).
        entries: Z, (M, d).

    Returns:
        (B, N, d).
    """
    return remove_span(tokens, confounder_span(entries))
