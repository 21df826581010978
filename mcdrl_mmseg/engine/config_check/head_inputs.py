"""Stock decode heads that read CLIP's image embedding in the place of a map."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead

from mcdrl_mmseg.models import (
    CLIPGuidedBackbone,
    CLIPVisionBackbone,
    PromptTuningHead,
)

from .config_components import Component
from .config_problem import ConfigProblem

_EMBEDDING = -1  # the last entry of the backbone's tuple, and MMSegmentation's default
# Heads of others may want it.
_KNOWN = ('mmseg.', 'mcdrl_mmseg.')
_PLACES = ('model.decode_head', 'model.auxiliary_head')


def input_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Heads that see one vector for the whole image, and give all pixels one score."""
    backbone = next((part for part in parts if part.place == 'model.backbone'), None)
    if backbone is None or cfg['model'].get('neck'):
        return
    embedding = {_EMBEDDING}
    if backbone.is_a(CLIPVisionBackbone):
        # Behind the levels and the dense map.
        embedding.add(len(backbone.cfg.get('out_indices') or ()) + 1)
    elif not backbone.is_a(CLIPGuidedBackbone):
        return
    for head in parts:
        if _reads_backbone(head, parts) and embedding & {*_indices(head)}:
            yield ConfigProblem(
                head.at('in_index'),
                f'is {head.cfg.get("in_index", "-1 where it is not given")}, which '
                f"of {backbone.cls.__name__} is CLIP's image embedding: one vector "
                'for all positions, so that each pixel would get the same score.',
                'Set in_index=-2 for the dense map, or that of a level.',
            )


def _reads_backbone(head: Component, parts: Sequence[Component]) -> bool:
    """Whether a head of a known class gets the backbone's own tuple."""
    if not head.is_a(BaseDecodeHead) or not head.cls.__module__.startswith(_KNOWN):
        return False
    place, _, last = head.place.rpartition('.')
    if last == 'predictor':
        # CausalInterventionHead changes what its predictor gets.
        return any(one.place == place and one.is_a(PromptTuningHead) for one in parts)
    return head.place.partition('[')[0] in _PLACES


def _indices(head: Component) -> Sequence[Any]:
    """Entries of the tuple that a head reads."""
    default = inspect.signature(head.cls).parameters.get('in_index')
    given = head.cfg.get('in_index', _EMBEDDING if default is None else default.default)
    if isinstance(given, int):
        return [given] if isinstance(head.cfg.get('in_channels'), int) else []
    return given if isinstance(given, list | tuple) else []
