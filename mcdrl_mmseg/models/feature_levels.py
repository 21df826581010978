"""What a backbone returns: maps, sequences that begin with a map, or one bare map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

Level: TypeAlias = Tensor | Sequence[Tensor]
"""A map, or a sequence that begins with one: DPT's backbone adds a class token."""
Features: TypeAlias = tuple[Level, ...]
"""Levels, CLIP's dense map and its image embedding."""


class BareMap(NamedTuple):
    """Features as PIDNet and DDRNet return them in evaluation, beside CLIP's.

    In training these backbones return a tuple of maps, in evaluation a single tensor,
    and their decode heads expect this. The intervention then works on this map,
    whatever index it has in training.

    Attributes:
        level: (B, c, h, w). The predictor gets it as a bare tensor, too.
        dense_features: CLIP's dense map, (B, d, h', w').
        image_embedding: CLIP's, (B, d, 1, 1).
    """

    level: Tensor
    dense_features: Tensor
    image_embedding: Tensor


def map_of(level: Level) -> Tensor:
    """The map of a level, (B, c, h, w)."""
    return level if isinstance(level, Tensor) else level[0]


def with_map(level: Level, feature: Tensor) -> Level:
    """A level with another map in it.

    Args:
        level: A map, or a sequence that begins with one.
        feature: (B, c, h, w), in any memory format. It is copied into the format of the
            level's own map: in another format the next convolution would round
            differently. Maps of transformers and timm are often channels-last.
    """
    feature = _in_layout_of(map_of(level), feature)
    if isinstance(level, Tensor):
        return feature
    sequence: Any = type(level)
    return sequence([feature, *level[1:]])


def _in_layout_of(like: Tensor, feature: Tensor) -> Tensor:
    exporting = torch.compiler.is_compiling() or torch.jit.is_tracing()
    if exporting or like.is_contiguous():
        return feature
    return torch.empty_like(like, dtype=feature.dtype).copy_(feature)
