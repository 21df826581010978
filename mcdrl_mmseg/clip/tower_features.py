"""One forward pass of an image tower: levels, dense map and image embedding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from mcdrl_common import InputError

from .dense import dense_pooled_tokens, dense_vit_block
from .positions import fit_position_grid


class ImageSizeError(InputError, ValueError):
    """Images too small for an image tower; the message names the least size."""


class TowerFeatures(NamedTuple):
    """Output of an image tower.

    Attributes:
        levels: Maps (B, c, h, w) of the requested blocks or stages.
        dense_features: (B, d, h, w) in the joint image-text space, not normalised.
        image_embedding: (B, d, 1, 1), CLIP's image embedding, not normalised.
    """

    levels: tuple[Tensor, ...]
    dense_features: Tensor
    image_embedding: Tensor


def run_module(module: Callable, x: Tensor, with_cp: bool) -> Tensor:
    """Run a block, recomputed in the backward pass with ``with_cp``."""
    if with_cp and x.requires_grad:
        return checkpoint(module, x, use_reentrant=False)
    return module(x)


def to_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """(B, h * w, c) -> (B, c, h, w)."""
    # Contiguous, like maps into which tokens were scattered: convolutions round
    # differently in another layout, and logits at gate 0 would differ.
    return tokens.transpose(1, 2).unflatten(2, grid).contiguous()


def pad_to_multiple(images: Tensor, multiple: tuple[int, int]) -> Tensor:
    """Pad height and width with zeros, at the bottom and right, to given multiples."""
    down, right = (-side % of for side, of in zip(images.shape[-2:], multiple))
    # An exported graph of variable size, if it asked, would refuse the other sizes.
    variable = any(isinstance(length, torch.SymInt) for length in (down, right))
    padded = variable or down or right
    return F.pad(images, (0, right, 0, down)) if padded else images


def vit_features(
    tower: nn.Module,
    images: Tensor,
    out_indices: Sequence[int],
    dense_mode: str,
    with_cp: bool = False,
) -> TowerFeatures:
    """Run an open_clip ``VisionTransformer``.

    Args:
        tower: The tower.
        images: (B, 3, H, W), normalised as CLIP expects. Sizes that are no multiple
            of the patch are padded with zeros at the right and bottom.
        out_indices: Blocks whose output becomes a level, counted from 0.
        dense_mode: See :mod:`mcdrl_mmseg.clip.dense`.
        with_cp: Recompute blocks in the backward pass to save memory.

    Returns:
        Levels and dense map have H / patch x W / patch positions.
    """
    tokens, grid = _embed_patches(tower, images)
    # All blocks but the last.
    levels = []
    *blocks, last = tower.transformer.resblocks
    for index, block in enumerate(blocks):
        tokens = run_module(block, tokens, with_cp)
        if index in out_indices:
            levels.append(to_map(tokens[:, 1:], grid))

    # The last block: dense, and also plain if a level or CLIP's pooling needs it. The
    # dense block includes the plain pooled token, which is enough for token pooling.
    # Attention or average pooling needs all plain tokens.
    is_level = len(blocks) in out_indices
    by_token = tower.pool_type == 'tok' and tower.attn_pool is None
    if dense_mode == 'vanilla' or is_level or not by_token:
        plain = run_module(last, tokens, with_cp)
        pooled, _ = tower._pool(plain)
        if is_level:
            levels.append(to_map(plain[:, 1:], grid))
    if dense_mode == 'vanilla':
        dense = plain
    else:
        dense = run_module(
            partial(dense_vit_block, last, mode=dense_mode), tokens, with_cp
        )
        if by_token:
            pooled, _ = tower._pool(dense[:, :1])
    # Project both into the joint image-text space.
    dense = _pool_alone(tower, dense[:, 1:]) @ tower.proj
    # CoCa's contrastive pool keeps a dimension for its single query.
    embedding = (pooled @ tower.proj).flatten(1)
    return TowerFeatures(tuple(levels), to_map(dense, grid), embedding[..., None, None])


def _embed_patches(tower: nn.Module, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """Class token and patch tokens, with positions fitted to the patch grid."""
    patches = tower.conv1(pad_to_multiple(images, tower.patch_size))
    grid = (patches.shape[2], patches.shape[3])
    class_token = tower.class_embedding.to(patches.dtype)
    class_tokens = class_token.expand(patches.shape[0], 1, -1)
    tokens = torch.cat([class_tokens, patches.flatten(2).transpose(1, 2)], dim=1)
    positions = fit_position_grid(tower.positional_embedding, grid, tower.grid_size)
    tokens = tower.ln_pre(tower.patch_dropout(tokens + positions.to(tokens.dtype)))
    return tokens, grid


def _pool_alone(tower: nn.Module, tokens: Tensor) -> Tensor:
    """A ViT's pooling applied to each token alone, up to the projection."""
    if tower.attn_pool is None:
        return tower.ln_post(tokens)
    if tower.attn_pool_contrastive is None:
        return tower.ln_post(_value_path(tower.attn_pool, tokens))
    # As in CoCa's paper: two pools in parallel, or in cascade.
    tokens = tower.ln_post(tokens)
    if tower.attn_pool_type == 'cascade':
        tokens = _value_path(tower.attn_pool, tokens)
    return _value_path(tower.attn_pool_contrastive, tokens)


def _value_path(pool: nn.Module, tokens: Tensor) -> Tensor:
    """open_clip's ``AttentionalPooler`` applied to each token alone.

    The attention weight of a single key is 1 for every query.
    """
    attention = pool.attn
    normed = pool.ln_k(tokens)
    bias = attention.in_proj_bias.chunk(3)[2]
    if attention.in_proj_weight is None:
        value = F.linear(normed, attention.v_proj_weight, bias)
    else:
        value = F.linear(normed, attention.in_proj_weight.chunk(3)[2], bias)
    return attention.out_proj(value)


def resnet_features(
    tower: nn.Module,
    images: Tensor,
    out_indices: Sequence[int],
    dense_mode: str,
    with_cp: bool = False,
) -> TowerFeatures:
    """Run an open_clip ``ModifiedResNet``.

    Args:
        tower: The tower.
        images: (B, 3, H, W), normalised as CLIP expects, at least 32 pixels a side.
        out_indices: Stages whose output becomes a level: 0 to 3 for ``layer1`` to
            ``layer4``, of stride 4 to 32.
        dense_mode: See :mod:`mcdrl_mmseg.clip.dense`.
        with_cp: Recompute stages in the backward pass to save memory.

    Returns:
        The dense map has stride 32.

    Raises:
        ImageSizeError: The images are too small for the tower's stride.
    """
    levels = []
    stages = (tower.layer1, tower.layer2, tower.layer3, tower.layer4)
    try:
        x = tower.stem(images)
        for index, stage in enumerate(stages):
            x = run_module(stage, x, with_cp)
            if index in out_indices:
                levels.append(x)
    except RuntimeError as error:
        # Of torch's pooling. A comparison of sizes would fix them in exported graphs.
        if 'Output size is too small' not in str(error):
            raise
        height, width = images.shape[-2:]
        raise ImageSizeError(
            f"images of {height} x {width} pixels are too small for CLIP's ResNet: it "
            'needs at least 32 pixels a side, or its output_stride if that is less. '
            'Resize them in the pipeline.'
        ) from None

    pool = tower.attnpool
    grid = (x.shape[2], x.shape[3])
    tokens = x.flatten(2).transpose(1, 2)
    tokens = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1)
    positions = fit_position_grid(pool.positional_embedding, grid).to(x.dtype)
    pooled = dense_pooled_tokens(pool, tokens, positions, dense_mode)
    embedding, dense = pooled[:, 0], pooled[:, 1:]
    return TowerFeatures(tuple(levels), to_map(dense, grid), embedding[..., None, None])
