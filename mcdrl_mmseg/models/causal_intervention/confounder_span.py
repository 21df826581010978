"""The span of the confounders' text embeddings, and its removal from features."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Relative to the mean squared length of the differences: without it, texts of equal
# meaning would make the system below singular.
_RIDGE = 1e-6
_MIN_RIDGE = 1e-12


class ConfounderSpan(NamedTuple):
    """The directions that tell the confounders apart; nothing where there is only one.

    Attributes:
        coordinates: Gives the part of a token in each direction, (d, M - 1).
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
        # Never 0, not even if all texts have the same embedding.
        ridge = (_RIDGE * gram.diagonal().mean()).clamp(min=_MIN_RIDGE)
        gram = gram + ridge * torch.eye(len(gram)).to(gram)
        # solve_ex skips the check of the result, which would wait for the device.
        weights = torch.linalg.solve_ex(gram, differences).result
        return ConfounderSpan(weights.T, differences)


def remove_span(tokens: Tensor, span: ConfounderSpan) -> Tensor:
    """Remove from tokens what tells one confounder from another.

    In a joint image-text space the differences of the confounders' text embeddings span
    the directions along which an image says how it was taken. The tokens lose their
    component in that span, the same for every P(z).

    Args:
        tokens: F, (B, N, d), in the space of the entries.
        span: Of the entries.

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
    """:func:`remove_span` for the span of these entries.

    Args:
        tokens: F, (B, N, d).
        entries: Z, (M, d).

    Returns:
        (B, N, d).
    """
    return remove_span(tokens, confounder_span(entries))
