"""Image towers of timm, as open_clip's ``TimmModel`` holds them.

The dense map of such a tower is its own head (pooling, projection and whatever lies
between them) applied to one position at a time. Nothing in this is special to a family
but where its stem and stages lie, which :data:`SUPPORTED` says family by family.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from .tower_features import TowerFeatures

DENSE_MODES = ('vanilla',)
"""Dense modes of a convolutional tower; the others change a last attention."""

SUPPORTED = ('EfficientNet',)
"""Classes of timm whose stem and stages are known here."""

OUTPUT_STRIDES = (32, 16, 8)


def check_timm_dense_mode(model_name: str, dense_mode: str) -> None:
    """Refuse a dense mode that a convolutional tower has not.

    Args:
        model_name: Of the tower, for the message.
        dense_mode: As the config has it.

    Raises:
        ValueError: It is not one of :data:`DENSE_MODES`.
    """
    if dense_mode not in DENSE_MODES:
        raise ValueError(
            f'dense_mode={dense_mode!r} changes a last attention, which '
            f'model_name={model_name!r} does not have: its modes are '
            f'{list(DENSE_MODES)}.'
        )


def is_timm_tower(tower: nn.Module) -> bool:
    """Whether a tower is open_clip's wrapper of a timm model."""
    return hasattr(tower, 'trunk')


def build_timm_tower(embed_dim: int, vision_cfg: dict) -> nn.Module | None:
    """Build open_clip's ``TimmModel`` with random weights.

    Args:
        embed_dim: d, width of the joint space.
        vision_cfg: open_clip's ``vision_cfg`` with ``timm_model_name``.

    Returns:
        The tower, or None where its family is not supported.
    """
    from open_clip.model import _build_vision_tower

    tower = _build_vision_tower(
        embed_dim, {**vision_cfg, 'timm_model_pretrained': False}
    )
    # Attention pools among the head's layers have positions of a fixed grid.
    plain = 'pool' not in dict(tower.head.named_children())
    return tower if type(tower.trunk).__name__ in SUPPORTED and plain else None


def timm_stem(tower: nn.Module) -> list[nn.Module]:
    """What lies before the first stage of a supported tower."""
    return [tower.trunk.conv_stem, tower.trunk.bn1]


def timm_stages(tower: nn.Module) -> list[nn.Module]:
    """Stages of a supported tower, as timm counts them.

    Args:
        tower: Tower of :func:`build_timm_tower`.

    Returns:
        One module a level of ``feature_info``; together they hold all blocks.
    """
    trunk = tower.trunk
    stages: list[nn.Module] = []
    begin = 0
    for info in trunk.feature_info:
        end = info['stage']
        stages.append(nn.ModuleList(trunk.blocks[begin:end]))
        begin = end
    return stages


def timm_features(
    tower: nn.Module,
    images: Tensor,
    out_indices: Sequence[int],
    dense_mode: str,
    with_cp: bool = False,
) -> TowerFeatures:
    """Run a supported timm tower.

    Args:
        tower: Tower of :func:`build_timm_tower`.
        images: (B, 3, H, W), normalised as the tower expects.
        out_indices: Levels of timm's ``feature_info``; of an EfficientNet 0 to 4, of
            stride 2 to 32.
        dense_mode: One of :data:`DENSE_MODES`; checked where the tower is built.
        with_cp: Recompute blocks in the backward pass to save memory.

    Returns:
        The dense map has the stride of the last stage. The image embedding is
        open_clip's; of an average-pooled tower with a linear head it is the mean of
        the dense map over positions.
    """
    trunk = tower.trunk
    if trunk.grad_checkpointing != with_cp:
        trunk.set_grad_checkpointing(with_cp)
    # timm takes no empty list.
    last, levels = trunk.forward_intermediates(images, indices=list(out_indices) or [0])
    levels = levels if out_indices else []
    embedding = tower.head(trunk.forward_head(last))
    return TowerFeatures(
        tuple(levels), dense_head(tower, last), embedding[..., None, None]
    )


def dense_head(tower: nn.Module, features: Tensor) -> Tensor:
    """A tower's pooling and projection, applied to one position at a time.

    Args:
        tower: Tower of :func:`build_timm_tower`.
        features: (B, c, h, w), the trunk's last map.

    Returns:
        (B, d, h, w) in the joint image-text space, not normalised.
    """
    batch, channels, height, width = features.shape
    single = features.permute(0, 2, 3, 1).reshape(-1, channels, 1, 1)
    embedded = tower.head(tower.trunk.forward_head(single))
    dense = embedded.view(batch, height, width, -1).permute(0, 3, 1, 2)
    return dense.contiguous()


def set_timm_output_stride(tower: nn.Module, output_stride: int) -> None:
    """Make the dense map of a convolutional tower finer, with dilation for stride.

    Args:
        tower: Tower of :func:`build_timm_tower`.
        output_stride: 32 leaves the tower as it is, 16 gives twice as many rows and
            columns, 8 four times. No weight changes.

    Raises:
        ValueError: Another stride.
    """
    if output_stride not in OUTPUT_STRIDES:
        raise ValueError(f'output_stride={output_stride} must be one of 32, 16 or 8.')
    reached, dilation = 2, 1  # behind the stem
    for module in tower.trunk.blocks.modules():
        if not isinstance(module, nn.Conv2d) or module.kernel_size == (1, 1):
            continue
        inside, stride = dilation, module.stride[0]
        if reached * stride > output_stride:
            module.stride = (1, 1)
            dilation *= stride
        else:
            reached *= stride
        module.dilation = (inside, inside)
        # timm's "same" convolutions pad by themselves, from stride and dilation.
        if type(module) is nn.Conv2d:
            module.padding = tuple(
                inside * (side - 1) // 2 for side in module.kernel_size
            )
