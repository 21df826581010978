"""Dense CLIP features: the training-free ways from patch tokens to the text space.

CLIP aligns one pooled vector with text. The patch tokens after the last block align
badly, since that block's attention gathers global content. The modes differ in how
they change the last attention; none changes a weight:

- ``vanilla``: the tokens as they are.
- ``maskclip``: every token keeps its own value vector (Zhou et al., ECCV 2022).
- ``sclip``: query-query plus key-key attention (Wang et al., ECCV 2024).
- ``clearclip``: query-query attention alone, without residual and feed-forward
  (Lan et al., ECCV 2024).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DENSE_MODES = ('vanilla', 'maskclip', 'sclip', 'clearclip')


def split_heads(tokens: Tensor, num_heads: int) -> Tensor:
    """(B, L, c) -> (B, heads, L, c / heads)."""
    return tokens.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def merge_heads(tokens: Tensor) -> Tensor:
    """(B, heads, L, c / heads) -> (B, L, c)."""
    return tokens.transpose(1, 2).flatten(2)


def self_self_attention(
    query: Tensor, key: Tensor, value: Tensor, mode: str, prefix: int = 1
) -> Tensor:
    """Attention of the patch positions under a training-free mode.

    Args:
        query: (B, heads, prefix + L, c), pooled and register tokens first.
        key: Same shape.
        value: Same shape.
        mode: ``maskclip``, ``sclip`` or ``clearclip``.
        prefix: Number of tokens that are no positions of the image.

    Returns:
        (B, heads, L, c), without those of the prefix.
    """
    if mode == 'maskclip':
        return value[:, :, prefix:]
    attended = F.scaled_dot_product_attention(query[:, :, prefix:], query, value)
    if mode == 'sclip':
        own_key = key[:, :, prefix:]
        attended = attended + F.scaled_dot_product_attention(own_key, key, value)
    return attended


def dense_vit_block(block: nn.Module, tokens: Tensor, mode: str) -> Tensor:
    """Run a ViT's last block so that its patch tokens stay local.

    The pooled token attends as in the original block, so that one run of the block
    gives both the token that CLIP pools and the dense tokens.

    Args:
        block: open_clip ``ResidualAttentionBlock`` with ``nn.MultiheadAttention``.
        tokens: (B, 1 + L, c), the block's input.
        mode: ``maskclip``, ``sclip`` or ``clearclip``.

    Returns:
        (B, 1 + L, c): the pooled token as the block itself gives it, then the patch
        tokens of the mode.
    """
    attention = block.attn
    projected = F.linear(
        block.ln_1(tokens), attention.in_proj_weight, attention.in_proj_bias
    )
    query, key, value = (
        split_heads(part, attention.num_heads) for part in projected.chunk(3, dim=-1)
    )
    attended = attention.out_proj(_pooled_and_dense(query, key, value, mode))
    if mode == 'clearclip':
        pooled = _feed_forward(block, tokens[:, :1] + block.ls_1(attended[:, :1]))
        return torch.cat([pooled, attended[:, 1:]], dim=1)
    return _feed_forward(block, tokens + block.ls_1(attended))


def _pooled_and_dense(query: Tensor, key: Tensor, value: Tensor, mode: str) -> Tensor:
    """Plain attention for the pooled token, the mode's for all others, heads merged."""
    pooled = F.scaled_dot_product_attention(query[:, :, :1], key, value)
    dense = self_self_attention(query, key, value, mode)
    return merge_heads(torch.cat([pooled, dense], dim=2))


def _feed_forward(block: nn.Module, tokens: Tensor) -> Tensor:
    return tokens + block.ls_2(block.mlp(block.ln_2(tokens)))


def dense_pooled_tokens(
    pool: nn.Module, tokens: Tensor, positions: Tensor, mode: str
) -> Tensor:
    """Apply a ResNet tower's attention pool at every position.

    Args:
        pool: open_clip ``AttentionPool2d``.
        tokens: (B, 1 + L, c), mean token first.
        positions: (1 + L, c), the pool's positional embedding. The dense tokens of
            ``maskclip`` have none, as in its source.
        mode: Any dense mode.

    Returns:
        (B, 1 + L, d) in the joint image-text space, the pool's own output first.
    """
    placed = tokens + positions
    key, value = pool.k_proj(placed), pool.v_proj(placed)
    # maskclip needs only the pooled token's query: its dense tokens have none.
    query = pool.q_proj(placed[:, :1] if mode == 'maskclip' else placed)
    query, key, value = (split_heads(p, pool.num_heads) for p in (query, key, value))
    if mode == 'maskclip':
        pooled = merge_heads(F.scaled_dot_product_attention(query, key, value))
        attended = torch.cat([pooled, pool.v_proj(tokens[:, 1:])], dim=1)
    elif mode == 'vanilla':
        attended = merge_heads(F.scaled_dot_product_attention(query, key, value))
    else:
        attended = _pooled_and_dense(query, key, value, mode)
    return pool.c_proj(attended)
