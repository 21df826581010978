"""Dense modes in the transformer blocks of timm's image towers.

The modes of :mod:`mcdrl_mmseg.clip.dense`, for blocks whose attention has separate
biases, normalised queries and keys, rotary position embeddings or a gate.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .dense import DENSE_MODES, merge_heads, self_self_attention, split_heads

_ATTENTIONS = ('Attention', 'EvaAttention', 'AttentionRope')


def block_dense_modes(block: nn.Module) -> tuple[str, ...]:
    """Dense modes that a block allows.

    Args:
        block: A trunk's last block or stage.

    Returns:
        All modes for pre-norm blocks with plain multi-head attention; else only
        ``vanilla``.
    """
    attention = getattr(block, 'attn', None)
    plain = (
        type(block).__name__ in ('Block', 'EvaBlock')
        and type(attention).__name__ in _ATTENTIONS
        and getattr(attention, 'num_kv_groups', 1) == 1
    )
    return DENSE_MODES if plain else ('vanilla',)


def dense_timm_block(
    block: nn.Module, tokens: Tensor, prefix: int, rope: Tensor | None, mode: str
) -> Tensor:
    """Run a last block so that its patch tokens stay local.

    Args:
        block: timm's ``Block`` or ``EvaBlock``.
        tokens: (B, prefix + L, c), the block's input.
        prefix: Number of class and register tokens before those of the patches.
        rope: Rotary positions as the block takes them, or None.
        mode: ``maskclip``, ``sclip`` or ``clearclip``.

    Returns:
        (B, L, c), the patch tokens.
    """
    attention = block.attn
    normed = block.norm1(tokens)
    query, key, value = _query_key_value(attention, normed, prefix, rope)
    attended = merge_heads(self_self_attention(query, key, value, mode, prefix))
    attended = attention.norm(attended)
    if attention.gate is not None:
        attended = attended * attention.gate(normed[:, prefix:]).sigmoid()
    attended = attention.proj(attended)
    if mode == 'clearclip':
        return attended
    patches = tokens[:, prefix:] + _scaled(block, 1, attended)
    return patches + _scaled(block, 2, block.mlp(block.norm2(patches)))


def _scaled(block: nn.Module, number: int, branch: Tensor) -> Tensor:
    """Apply layer scale, which is a module in ViT blocks and a parameter in EVA's."""
    if hasattr(block, f'ls{number}'):
        return getattr(block, f'ls{number}')(branch)
    gamma = getattr(block, f'gamma_{number}')
    return branch if gamma is None else gamma * branch


def _query_key_value(
    attention: nn.Module, tokens: Tensor, prefix: int, rope: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Each (B, heads, prefix + L, c / heads), normalised and rotated."""
    if attention.qkv is None:
        parts = [getattr(attention, f'{name}_proj')(tokens) for name in 'qkv']
    else:
        projected = attention.qkv(tokens)
        if getattr(attention, 'q_bias', None) is not None:
            biases = attention.q_bias, attention.k_bias, attention.v_bias
            projected = projected + torch.cat(biases)
        parts = list(projected.chunk(3, dim=-1))
    query, key, value = (split_heads(part, attention.num_heads) for part in parts)
    query, key = attention.q_norm(query), attention.k_norm(key)
    if rope is not None:
        half = attention.rotate_half
        query = _rotated(query, prefix, rope, half)
        key = _rotated(key, prefix, rope, half)
    return query, key, value


def _rotated(heads: Tensor, prefix: int, rope: Tensor, half: bool) -> Tensor:
    from timm.layers import apply_rot_embed_cat

    patches = apply_rot_embed_cat(heads[:, :, prefix:], rope, half=half)
    return torch.cat([heads[:, :, :prefix], patches], dim=2).type_as(heads)
