"""A layer's attention to a fixed dictionary, folded into two linear maps.

For inference: a token costs two products a head and entry instead of two a width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .intervention_layer import InterventionLayer


class FoldedAttention(NamedTuple):
    """What of a layer's attention is the same for every token.

    Attributes:
        logits: (M * H, c) and (M * H,), weight and bias from a normed token to the
            logits of all entries in all heads: query, key, scale and log P(z) in one.
        values: (c, M * H), from all attention weights to the output: value and out
            in one.
    """

    logits: tuple[Tensor, Tensor]
    values: Tensor


def fold_attention(
    layer: InterventionLayer, entries: Tensor, log_prior: Tensor
) -> FoldedAttention:
    """Multiply out the projections of the dictionary.

    Args:
        layer: The layer.
        entries: Z, (M, d).
        log_prior: log P(z), (M,).
    """
    heads = (layer.num_heads, -1)
    # Logits: (W_q x + b_q) k / sqrt(c_head) + log P(z), as a linear map of x.
    key = layer.key(entries).unflatten(-1, heads)
    scale = key.shape[-1] ** -0.5
    query = layer.query.weight.unflatten(0, heads)
    query_bias = layer.query.bias.unflatten(0, heads)
    weight = torch.einsum('mhe,hec->mhc', key, query) * scale
    bias = torch.einsum('mhe,he->mh', key, query_bias) * scale + log_prior.unsqueeze(-1)
    # Output: W_o times the values, as a linear map of the attention weights.
    value = layer.value(entries).unflatten(-1, heads)
    out = layer.out.weight.unflatten(1, heads)
    values = torch.einsum('mhe,che->cmh', value, out)
    return FoldedAttention((weight.flatten(0, 1), bias.flatten()), values.flatten(1))


def folded_forward(
    layer: InterventionLayer, tokens: Tensor, folded: FoldedAttention
) -> Tensor:
    """The layer's ``forward``, up to rounding, with fewer multiplications.

    Args:
        layer: The layer.
        tokens: F, (B, N, c).
        folded: :func:`fold_attention` of the same layer.

    Returns:
        (B, N, c).
    """
    logits = F.linear(layer.query_norm(tokens), *folded.logits)
    # Heads last: a softmax over a short last dimension is not vectorised.
    weights = logits.unflatten(-1, (-1, layer.num_heads)).softmax(dim=-2)
    attended = F.linear(weights.flatten(-2), folded.values, layer.out.bias)
    return layer.add_attended(tokens, attended)
