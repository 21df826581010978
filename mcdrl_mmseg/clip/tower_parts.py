"""The parts of an image tower, for all three kinds of towers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from .timm_tower import is_timm_tower, timm_features, timm_stages, timm_stem
from .tower_features import TowerFeatures, resnet_features, vit_features

_TIMM_STEM_PARAMETERS = ('cls_token', 'reg_token', 'pos_embed')


class TowerParts(NamedTuple):
    """The parts that differ between open_clip's ViT and ResNet and towers of timm.

    Attributes:
        run: Computes features; called with the tower, images, ``out_indices``,
            ``dense_mode`` and ``with_cp``.
        stem: Modules before the first stage.
        stem_parameters: Parameters before the first stage that are in no module of the
            stem.
        stages: Stages, or blocks of a transformer.
        counted: What ``stages`` holds, ``'blocks'`` or ``'stages'``.
    """

    run: Callable[..., TowerFeatures]
    stem: list[nn.Module]
    stem_parameters: list[nn.Parameter]
    stages: list[nn.Module]
    counted: str


def parts_of_tower(tower: nn.Module) -> TowerParts:
    """The parts of a tower as they are now.

    Args:
        tower: Tower of :func:`mcdrl_mmseg.clip.build_image_tower`.
    """
    if is_timm_tower(tower):
        trunk = tower.trunk
        found = [getattr(trunk, name, None) for name in _TIMM_STEM_PARAMETERS]
        return TowerParts(
            timm_features,
            timm_stem(tower),
            [parameter for parameter in found if parameter is not None],
            timm_stages(tower),
            'blocks' if hasattr(trunk, 'num_prefix_tokens') else 'stages',
        )
    if hasattr(tower, 'transformer'):
        return TowerParts(
            vit_features,
            [tower.conv1, tower.ln_pre],
            [tower.class_embedding, tower.positional_embedding],
            list(tower.transformer.resblocks),
            'blocks',
        )
    return TowerParts(
        resnet_features,
        [tower.conv1, tower.bn1, tower.conv2, tower.bn2, tower.conv3, tower.bn3],
        [],
        [tower.layer1, tower.layer2, tower.layer3, tower.layer4],
        'stages',
    )
