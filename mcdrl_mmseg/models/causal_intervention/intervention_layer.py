"""One layer of A(F, Z): cross-attention to the confounders, then feed-forward."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class InterventionLayer(nn.Module):
    """One cross-attention to confounders and one feed-forward block, pre-norm.

    Args:
        embed_dims: c, width of the tokens.
        dictionary_dims: d, width of the entries.
        attention_dims: Width of queries, keys and values.
        num_heads: Attention heads.
        ffn_ratio: Hidden width of the feed-forward block over c.
    """

    def __init__(
        self,
        embed_dims: int,
        dictionary_dims: int,
        attention_dims: int,
        num_heads: int,
        ffn_ratio: float,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query_norm = nn.LayerNorm(embed_dims)
        self.query = nn.Linear(embed_dims, attention_dims)
        self.key = nn.Linear(dictionary_dims, attention_dims)
        self.value = nn.Linear(dictionary_dims, attention_dims)
        self.out = nn.Linear(attention_dims, embed_dims)
        hidden = int(embed_dims * ffn_ratio)
        self.ffn = nn.Sequential(
            nn.LayerNorm(embed_dims),
            nn.Linear(embed_dims, hidden),
            nn.GELU(),
            nn.Linear(hidden, embed_dims),
        )

    def forward(
        self, tokens: Tensor, entries: Tensor, log_prior: Tensor | None
    ) -> Tensor:
        """A(F, Z): attend to all entries at once.

        Args:
            tokens: F, (B, N, c).
            entries: Z, (1 or B, M, d).
            log_prior: log P(z), (M,), added to the attention logits, or None.

        Returns:
            (B, N, c).
        """
        query = self.query(self.query_norm(tokens))
        parts = (query, self.key(entries), self.value(entries))
        query, key, value = (each.unflatten(-1, (self.num_heads, -1)) for each in parts)
        attended = attend(query, key, value, log_prior).flatten(2)
        return self.add_attended(tokens, self.out(attended))

    def attend_to_one(self, entries: Tensor) -> Tensor:
        """Attention's output if there is only one entry z to attend to.

        The softmax over one key is 1, so the output is the same for every token.

        Args:
            entries: (..., d).

        Returns:
            (..., c), for :meth:`add_attended`.
        """
        return self.out(self.value(entries))

    def add_attended(self, tokens: Tensor, attended: Tensor) -> Tensor:
        """The rest of the layer: both residuals and the feed-forward block.

        Args:
            tokens: (..., N, c).
            attended: Attention's output, of a shape that broadcasts with the tokens.

        Returns:
            (..., N, c).
        """
        tokens = tokens + attended
        return tokens + self.ffn(tokens)

    def attention_weights(
        self, tokens: Tensor, entries: Tensor, log_prior: Tensor
    ) -> Tensor:
        """Weights that :meth:`forward` gives to the entries, (B, heads, N, M)."""
        query = self._split_heads(self.query(self.query_norm(tokens)))
        key = self._split_heads(self.key(entries))
        logits = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
        return (logits + log_prior).softmax(dim=-1)

    def _split_heads(self, tokens: Tensor) -> Tensor:
        """(B, L, c) -> (B, heads, L, c / heads)."""
        return tokens.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


# In lower precision torch's own attention, which sums in float32, is used.
_WHOLE_PRECISION = (torch.float32, torch.float64)


def attend(
    query: Tensor, key: Tensor, value: Tensor, log_prior: Tensor | None
) -> Tensor:
    """softmax(q k^T / sqrt(e) + log P(z)) V in every head.

    Args:
        query: (B, N, heads, e).
        key: (1 or B, M, heads, e).
        value: Same shape as ``key``.
        log_prior: log P(z), (M,), or None.

    Returns:
        (B, N, heads, e).
    """
    if log_prior is not None and _are_shared(query, key):
        return _attend_to_shared(query, key[0], value[0], log_prior)
    mask = None
    if log_prior is not None:
        mask = log_prior.to(query.dtype).view(1, 1, 1, -1)
    images = query.shape[0]  # len() would fix the number of an exported graph
    query, key, value = (
        part.expand(images, -1, -1, -1).transpose(1, 2) for part in (query, key, value)
    )
    return F.scaled_dot_product_attention(query, key, value, mask).transpose(1, 2)


def _are_shared(query: Tensor, key: Tensor) -> bool:
    """Whether several images share their entries and the faster path is worth it."""
    # Checked first: a recorded graph must work for any number of images.
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    on_cpu = query.device.type == 'cpu' and query.dtype in _WHOLE_PRECISION
    return on_cpu and len(key) == 1 < len(query)


def _attend_to_shared(
    query: Tensor, key: Tensor, value: Tensor, log_prior: Tensor
) -> Tensor:
    """:func:`attend` in half the time, if all images attend to the same few entries.

    torch's own attention on a CPU is made for long sequences: it loops over images and
    over entries.
    """
    # Tokens last: a softmax over a short last dimension is not vectorised.
    scaled = query * query.shape[-1] ** -0.5
    logits = torch.einsum('bnhe,mhe->hmbn', scaled, key)
    weights = (logits + log_prior.view(-1, 1, 1)).softmax(dim=1)
    return torch.einsum('hmbn,mhe->bnhe', weights, value)
