"""Image towers of timm, as open_clip's ``TimmModel`` holds them.

The dense map of such a tower is its own head (pooling, projection and the layers
between them), applied to one position at a time. Average pooling, or taking the class
token, leaves a single position as it is. Attention pooling reduces to its value path,
since the attention weight of a single position is 1. Only two things differ between
families: where stem and stages are, and how to build the tower for images of any size.
Both are listed in :data:`FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .dense import DENSE_MODES
from .meta_build import meta_build
from .timm_blocks import block_dense_modes, dense_timm_block
from .tower_features import TowerFeatures, pad_to_multiple, run_module, to_map


class Family(NamedTuple):
    """Properties of a model class of timm.

    Attributes:
        stem: Names of the modules before the stages.
        stages: Name of the stages or blocks.
        options: Constructor arguments that allow images of any size.
        tokens: Whether the trunk returns tokens instead of a map.
        multiple: Images are padded to a multiple of this, where strided convolutions
            would otherwise drop the remainder.
    """

    stem: tuple[str, ...]
    stages: str
    options: Mapping[str, Any]
    tokens: bool = False
    multiple: int = 1


_DYNAMIC = {'dynamic_img_size': True}
FAMILIES = {
    'ConvNeXt': Family(('stem',), 'stages', {}, multiple=32),
    'EfficientNet': Family(('conv_stem', 'bn1'), 'blocks', {}),
    'Eva': Family(('patch_embed', 'norm_pre'), 'blocks', _DYNAMIC, tokens=True),
    'FastVit': Family(('stem',), 'stages', {}),
    'SwinTransformer': Family(
        ('patch_embed',), 'layers', {'strict_img_size': False}, multiple=4
    ),
    'VisionTransformer': Family(
        ('patch_embed', 'norm_pre'), 'blocks', _DYNAMIC, tokens=True
    ),
}
"""Supported model classes of timm, by name."""


def is_timm_tower(tower: nn.Module) -> bool:
    """Whether a tower is open_clip's wrapper of a timm model."""
    return hasattr(tower, 'trunk')


def build_timm_tower(embed_dim: int, vision_cfg: dict) -> nn.Module:
    """Build open_clip's ``TimmModel`` with random weights, for images of any size.

    Args:
        embed_dim: d, width of the joint space.
        vision_cfg: open_clip's ``vision_cfg`` with ``timm_model_name``.

    Returns:
        The tower, with open_clip's keys.

    Raises:
        ValueError: timm has no such model, its family is none of :data:`FAMILIES`, or
            the value path of its attention pool is not known here.
    """
    import timm
    from open_clip.model import CLIPVisionCfg, _build_vision_tower

    config = CLIPVisionCfg(**{**vision_cfg, 'timm_model_pretrained': False})
    name = config.timm_model_name
    # timm would download a model whose name has a scheme, as hf-hub:.
    if not timm.is_model(name):
        raise ValueError(f'timm has no model {name!r}.')
    # Building on meta shows at next to no cost what open_clip would build.
    with meta_build():
        tower = _build_vision_tower(embed_dim, config)
    kind = type(tower.trunk).__name__
    if kind not in FAMILIES:
        raise ValueError(
            f"its image tower is timm's {kind} ({name}); of timm's families "
            f'{", ".join(FAMILIES)} are supported.'
        )
    pools = (getattr(tower.trunk, 'attn_pool', None), getattr(tower.head, 'pool', None))
    if any(not _has_value_path(pool) for pool in pools if pool is not None):
        raise ValueError(
            f'its pool {config.timm_pool!r} has positions of a fixed grid, or no '
            'values of its own: it cannot give a dense map.'
        )
    if not FAMILIES[kind].options:
        return _build_vision_tower(embed_dim, config)
    # open_clip's own constructor does not pass these options on.
    keys = tower.trunk.state_dict().keys()
    tower.trunk = _build_trunk(embed_dim, config, FAMILIES[kind].options)
    assert tower.trunk.state_dict().keys() == keys
    tower.head.to_empty(device=next(tower.trunk.parameters()).device)
    for module in tower.head.modules():
        if isinstance(module, nn.Linear):
            module.reset_parameters()
    return tower


def _has_value_path(pool: nn.Module) -> bool:
    return type(pool).__name__ == 'AttentionPoolLatent' and pool.pos_embed is None


def _build_trunk(embed_dim: int, config: Any, options: Mapping[str, Any]) -> nn.Module:
    """The trunk with open_clip's choice of head and pool, and with these options."""
    import timm

    options = {**options, 'pretrained': False}
    if config.timm_drop_path is not None:
        options['drop_path_rate'] = config.timm_drop_path
    if config.patch_dropout > 0:
        options['patch_drop_rate'] = config.patch_dropout
    if config.timm_proj in ('linear', 'mlp'):
        trunk = timm.create_model(config.timm_model_name, **options)
        pool = {'global_pool': config.timm_pool} if config.timm_pool else {}
        trunk.reset_classifier(0, **pool)
        return trunk
    return timm.create_model(
        config.timm_model_name,
        num_classes=0 if config.timm_proj == 'none' else embed_dim,
        global_pool=config.timm_pool,
        **options,
    )


def _family(tower: nn.Module) -> Family:
    return FAMILIES[type(tower.trunk).__name__]


def timm_stem(tower: nn.Module) -> list[nn.Module]:
    """Modules before the first stage of a tower."""
    return [getattr(tower.trunk, name) for name in _family(tower).stem]


def timm_stages(tower: nn.Module) -> list[nn.Module]:
    """Stages of a tower, as timm counts them.

    Args:
        tower: Tower of :func:`build_timm_tower`.

    Returns:
        One module for each level of ``feature_info``; together they hold all blocks.
    """
    trunk = tower.trunk
    stages = getattr(trunk, _family(tower).stages)
    if len(stages) == len(trunk.feature_info):
        return list(stages)
    # In EfficientNet a level ends where the stride grows.
    grouped: list[nn.Module] = []
    begin = 0
    for info in trunk.feature_info:
        end = info['stage']
        grouped.append(nn.ModuleList(stages[begin:end]))
        begin = end
    return grouped


def timm_dense_modes(tower: nn.Module) -> tuple[str, ...]:
    """Dense modes of a tower: all modes if its last block is a plain transformer block.

    Args:
        tower: Tower of :func:`build_timm_tower`.
    """
    if not _family(tower).tokens:
        return DENSE_MODES[:1]
    return block_dense_modes(tower.trunk.blocks[-1])


def timm_features(
    tower: nn.Module,
    images: Tensor,
    out_indices: Sequence[int],
    dense_mode: str,
    with_cp: bool = False,
) -> TowerFeatures:
    """Run a timm tower.

    Args:
        tower: Tower of :func:`build_timm_tower`.
        images: (B, 3, H, W), normalised as the tower expects. Sizes that are no
            multiple of the patch size are padded with zeros at the right and bottom.
            Only if the tower's native size is no multiple, images of that size are
            cropped, as open_clip does.
        out_indices: Levels of timm's ``feature_info``: blocks of a transformer; stages
            0 to 3 of ConvNeXt, FastViT and Swin, of stride 4 to 32; 0 to 4 of an
            EfficientNet, of stride 2 to 32.
        dense_mode: One of :func:`timm_dense_modes`; checked where the tower is built.
        with_cp: Recompute blocks in the backward pass to save memory.

    Returns:
        The dense map has the stride of the last stage. The image embedding is
        open_clip's. For an average-pooled tower with a linear head this is the mean of
        the dense map over positions.
    """
    _set_recomputation(tower, with_cp)
    if _family(tower).tokens:
        images = _fit_to_patches(tower, images)
        return _token_features(tower, images, out_indices, dense_mode, with_cp)
    trunk = tower.trunk
    multiple = _family(tower).multiple
    images = pad_to_multiple(images, (multiple, multiple))
    # timm accepts no empty list.
    last, levels = trunk.forward_intermediates(images, indices=list(out_indices) or [0])
    levels = levels if out_indices else []
    if not (tower.training or last.requires_grad) and _averages_and_projects(tower):
        # Projection and mean commute: the dense map gives the embedding as well.
        dense = tower.head(trunk.classifier(last.permute(0, 2, 3, 1)))
        dense = dense.permute(0, 3, 1, 2).contiguous()
        return TowerFeatures(tuple(levels), dense, dense.mean((2, 3), keepdim=True))
    embedding = tower.head(trunk.forward_head(last))
    return TowerFeatures(
        tuple(levels), dense_head(tower, last), embedding[..., None, None]
    )


def _averages_and_projects(tower: nn.Module) -> bool:
    """Whether a tower ends in a mean over positions and linear layers, as Lite0's."""
    trunk = tower.trunk
    linear = (nn.Dropout, nn.Identity, nn.Linear)
    return (
        type(trunk).__name__ == 'EfficientNet'
        and trunk.global_pool.pool_type == 'avg'
        and all(isinstance(part, linear) for part in (trunk.classifier, *tower.head))
    )


def _set_recomputation(tower: nn.Module, with_cp: bool) -> None:
    """Set gradient checkpointing, only on change: timm walks through all stages."""
    if getattr(tower, '_recomputes', False) != with_cp:
        tower.trunk.set_grad_checkpointing(with_cp)
        tower._recomputes = with_cp


def _fit_to_patches(tower: nn.Module, images: Tensor) -> Tensor:
    patch = tower.trunk.patch_embed.feat_ratio()
    height, width = images.shape[-2:]
    native = tuple(tower.image_size)
    # Compared only where it matters: a graph of variable size would refuse this size.
    if any(side % patch for side in native) and (height, width) == native:
        return images[..., : height - height % patch, : width - width % patch]
    return pad_to_multiple(images, (patch, patch))


def _token_features(
    tower: nn.Module,
    images: Tensor,
    out_indices: Sequence[int],
    dense_mode: str,
    with_cp: bool,
) -> TowerFeatures:
    """Features of a vision transformer; its last block runs in the dense mode."""
    trunk, prefix = tower.trunk, tower.trunk.num_prefix_tokens
    is_dense = dense_mode != 'vanilla'
    before_last = len(trunk.blocks) - 2
    indices = sorted({*out_indices, *([before_last] if is_dense else [])})
    last, found = trunk.forward_intermediates(
        images,
        indices=indices or [0],
        output_fmt='NLC',
        return_prefix_tokens=prefix > 0,
    )
    parts = dict(zip(indices, found))
    grid = trunk.patch_embed.dynamic_feat_size(images.shape[-2:])

    # The image embedding uses plain attention in all blocks.
    embedding = tower.head(trunk.forward_head(last))
    if is_dense:
        part = parts[before_last]
        tokens = torch.cat(part[::-1], dim=1) if prefix else part
        rope = getattr(trunk, 'rope', None)
        block = partial(
            dense_timm_block,
            trunk.blocks[-1],
            prefix=prefix,
            rope=None if rope is None else rope.get_embed(shape=grid),
            mode=dense_mode,
        )
        positions = trunk.norm(run_module(block, tokens, with_cp))
    else:
        positions = last[:, prefix:]
    levels = [parts[index] for index in out_indices]
    return TowerFeatures(
        tuple(to_map(part[0] if prefix else part, grid) for part in levels),
        to_map(embed_positions(tower, positions), grid),
        embedding[..., None, None],
    )


def embed_positions(tower: nn.Module, tokens: Tensor) -> Tensor:
    """A transformer's pooling and projection, applied to one position at a time.

    Args:
        tower: Tower of :func:`build_timm_tower`.
        tokens: (B, L, c) after the trunk's last norm.

    Returns:
        (B, L, d) in the joint image-text space, not normalised.
    """
    trunk = tower.trunk
    if trunk.attn_pool is not None:
        tokens = _pool_alone(trunk.attn_pool, tokens)
    # All layers after the pool work on the last dimension only.
    return tower.head(trunk.head(trunk.head_drop(trunk.fc_norm(tokens))))


def _pool_alone(pool: nn.Module, tokens: Tensor) -> Tensor:
    """Timm's ``AttentionPoolLatent`` applied to each token alone."""
    _, value = pool.kv(tokens).chunk(2, dim=-1)
    pooled = pool.proj_drop(pool.proj(value))
    return pooled if pool.mlp is None else pooled + pool.mlp(pool.norm(pooled))


def dense_head(tower: nn.Module, features: Tensor) -> Tensor:
    """A convolutional tower's pooling and projection, one position at a time.

    Args:
        tower: Tower of :func:`build_timm_tower`.
        features: (B, c, h, w), the trunk's last map; Swin's is (B, h, w, c).

    Returns:
        (B, d, h, w) in the joint image-text space, not normalised.
    """
    channels_last = type(tower.trunk).__name__ == 'SwinTransformer'
    if not channels_last:
        features = features.permute(0, 2, 3, 1)
    batch, height, width, channels = features.shape
    single = (1, 1, channels) if channels_last else (channels, 1, 1)
    embedded = tower.head(tower.trunk.forward_head(features.reshape(-1, *single)))
    dense = embedded.view(batch, height, width, -1).permute(0, 3, 1, 2)
    return dense.contiguous()
