"""An intervention layer with a fixed dictionary multiplied into its weights.

For inference: for each token, attention is two matrix products whose width is the
number of heads times entries, in place of the projections. Weights are stored in the
layout that is fastest for few tokens.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .intervention_layer import InterventionLayer


class FoldedLayer(NamedTuple):
    """A layer's folded weights, the same for every token. Biases come before weights.

    Attributes:
        logits: (M * H,) and (c, M * H), from a standardised token (mean 0, variance 1)
            to the logits of all entries in all heads. Holds norm, query, key, scale
            and log P(z).
        values: (M * H, c), from all attention weights to the output. Holds value and
            out.
        hidden: (h,) and (c, h), from a standardised token to the hidden units of the
            feed-forward block. Holds norm and first layer.
        output: (c,) and (h, c), last layer of the feed-forward block.
    """

    logits: tuple[Tensor, Tensor]
    values: Tensor
    hidden: tuple[Tensor, Tensor]
    output: tuple[Tensor, Tensor]


def fold_layer(
    layer: InterventionLayer, entries: Tensor, log_prior: Tensor
) -> FoldedLayer:
    """Multiply out all factors that do not depend on the tokens.

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
    # Output: W_o times the values, as a linear map of the attention weights. The
    # weights of a head sum to 1, so each value can carry its share of the bias.
    value = layer.value(entries).unflatten(-1, heads)
    out = layer.out.weight.unflatten(1, heads)
    values = torch.einsum('mhe,che->mhc', value, out) + layer.out.bias / len(key[0])
    norm, first, _, last = layer.ffn
    return FoldedLayer(
        _behind_norm(layer.query_norm, bias.flatten(), weight.flatten(0, 1)),
        values.flatten(0, 1),
        _behind_norm(norm, first.bias, first.weight),
        (last.bias, last.weight.T.contiguous()),
    )


def _behind_norm(
    norm: nn.LayerNorm, bias: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Bias and transposed weight of a linear layer with its input norm folded in."""
    return bias + weight @ norm.bias, (weight * norm.weight).T.contiguous()


def folded_forward(
    layer: InterventionLayer, tokens: Tensor, folded: FoldedLayer
) -> Tensor:
    """The layer's ``forward``, up to rounding, with fewer multiplications.

    Args:
        layer: The layer.
        tokens: F of all images, (L, c).
        folded: :func:`fold_layer` of the same layer.

    Returns:
        (L, c).
    """
    bias, weight = folded.logits
    logits = torch.addmm(bias, _standardised(tokens, layer.query_norm), weight)
    # Heads last: a softmax over a short last dimension is not vectorised.
    weights = logits.unflatten(-1, (-1, layer.num_heads)).softmax(dim=-2)
    tokens = tokens + weights.flatten(-2) @ folded.values
    # A compiled graph folds in every pass, which would not pay for this block.
    if torch.compiler.is_compiling():
        return tokens + layer.ffn(tokens)
    bias, weight = folded.hidden
    hidden = F.gelu(torch.addmm(bias, _standardised(tokens, layer.ffn[0]), weight))
    bias, weight = folded.output
    return tokens + torch.addmm(bias, hidden, weight)


def _standardised(tokens: Tensor, norm: nn.LayerNorm) -> Tensor:
    return F.layer_norm(tokens, norm.normalized_shape, eps=norm.eps)
