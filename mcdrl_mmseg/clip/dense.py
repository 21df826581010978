"""Dense CLIP features: the training-free ways from patch tokens to the text space.

CLIP aligns one pooled vector with text. Its patch tokens, taken as they leave the
last block, align badly, since that block's attention gathers global content. The
modes differ in what they do to the last attention, and change no weight:

- ``vanilla``: the tokens as they are.
- ``maskclip``: every token keeps its own value vector (Zhou et al., ECCV 2022).
- ``sclip``: query-query plus key-key attention (Wang et al., ECCV 2024).
- ``clearclip``: query-query attention alone, without residual and feed-forward
  (Lan et al., ECCV 2024).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

DENSE_MODES = ('vanilla', 'maskclip', 'sclip', 'clearclip')


def check_dense_mode(dense_mode: str) -> str:
    """Return the mode, or raise ValueError naming the known ones."""
    if dense_mode not in DENSE_MODES:
        raise ValueError(f'dense_mode={dense_mode!r} must be one of {DENSE_MODES}.')
    return dense_mode


def split_heads(tokens: Tensor, num_heads: int) -> Tensor:
    """(B, L, c) -> (B, heads, L, c / heads)."""
    return tokens.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def merge_heads(tokens: Tensor) -> Tensor:
    """(B, heads, L, c / heads) -> (B, L, c)."""
    return tokens.transpose(1, 2).flatten(2)


def self_self_attention(query: Tensor, key: Tensor, value: Tensor, mode: str) -> Tensor:
    """Attention of the patch positions under a training-free mode.

    Args:
        query: (B, heads, 1 + L, c), the pooled token first.
        key: Same shape.
        value: Same shape.
        mode: ``maskclip``, ``sclip`` or ``clearclip``.

    Returns:
        (B, heads, L, c), without the pooled token.
    """
    if mode == 'maskclip':
        return value[:, :, 1:]
    attended = F.scaled_dot_product_attention(query[:, :, 1:], query, value)
    if mode == 'sclip':
        attended = attended + F.scaled_dot_product_attention(key[:, :, 1:], key, value)
    return attended


def dense_vit_tokens(block: nn.Module, tokens: Tensor, mode: str) -> Tensor:
    """Rerun a ViT's last block so that its patch tokens stay local.

    Args:
        block: open_clip ``ResidualAttentionBlock`` with ``nn.MultiheadAttention``.
        tokens: (B, 1 + L, c), the block's input.
        mode: ``maskclip``, ``sclip`` or ``clearclip``.

    Returns:
        (B, L, c), the patch tokens that replace the block's output.
    """
    attention = block.attn
    projected = F.linear(
        block.ln_1(tokens), attention.in_proj_weight, attention.in_proj_bias
    )
    query, key, value = (
        split_heads(part, attention.num_heads) for part in projected.chunk(3, dim=-1)
    )
    attended = merge_heads(self_self_attention(query, key, value, mode))
    attended = attention.out_proj(attended)
    if mode == 'clearclip':
        return attended
    out = tokens[:, 1:] + block.ls_1(attended)
    return out + block.ls_2(block.mlp(block.ln_2(out)))


def dense_pooled_tokens(pool: nn.Module, tokens: Tensor, mode: str) -> Tensor:
    """Apply a ResNet tower's attention pool at every position.

    Args:
        pool: open_clip ``AttentionPool2d``.
        tokens: (B, 1 + L, c), mean token first. Positional embeddings are added
            already, except for ``maskclip``, which has none, as in its source.
        mode: Any dense mode.

    Returns:
        (B, L, d) in the joint image-text space.
    """
    value = pool.v_proj(tokens)
    if mode == 'maskclip':
        return pool.c_proj(value[:, 1:])
    query, key, value = (
        split_heads(part, pool.num_heads)
        for part in (pool.q_proj(tokens), pool.k_proj(tokens), value)
    )
    if mode == 'vanilla':
        attended = F.scaled_dot_product_attention(query[:, :, 1:], key, value)
    else:
        attended = self_self_attention(query, key, value, mode)
    return pool.c_proj(merge_heads(attended))
