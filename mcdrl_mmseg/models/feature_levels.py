"""What a backbone gives for one level: a map, a sequence with a map, or a bare map."""

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
    """Features as PIDNet and DDRNet give them in evaluation, beside CLIP's.

    In training they give a tuple of several maps, in evaluation one of them alone, and
    their decode heads take it so. The intervention then works on this map, whatever
    index it has in training.

    Attributes:
        level: (B, c, h, w), which the predictor gets in no tuple either.
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
        level: Of any form.
        feature: (B, c, h, w), in any memory layout. It takes that of the level's own
            map, else a convolution behind it would round otherwise: transformers and
            timm give maps whose channels come last.
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
