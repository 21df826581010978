"""Heads that read the wrong entries of the tuple of a backbone with CLIP."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead

from mcdrl_mmseg.models import (
    CausalInterventionHead,
    CLIPGuidedBackbone,
    CLIPVisionBackbone,
    PromptTuningHead,
)

from .config_components import Component
from .config_problem import ConfigProblem

_EMBEDDING = -1  # the last entry of the backbone's tuple, and MMSegmentation's default
# Heads of other packages may read the embedding on purpose.
_KNOWN = ('mmseg.', 'mcdrl_mmseg.')
_PLACES = ('model.decode_head', 'model.auxiliary_head')
_IN_CASCADE = re.compile(r'model\.decode_head\[\d+\]').fullmatch


def input_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Stock heads on CLIP's embedding, ours behind a neck or early in a cascade."""
    yield from _without_effect(parts)
    at = {part.place: part for part in parts}
    backbone, neck = at.get('model.backbone'), at.get('model.neck')
    if backbone is None:
        return
    if cfg['model'].get('neck'):
        if neck is not None and is_known(neck):
            yield from _cut_off(neck, parts)
        return
    # The embedding is one vector for the whole image: all pixels would score the same.
    embedding = {_EMBEDDING}
    if backbone.is_a(CLIPVisionBackbone):
        # Its index after the levels and the dense map.
        embedding.add(len(backbone.value('out_indices') or ()) + 1)
    elif not backbone.is_a(CLIPGuidedBackbone):
        return
    for head in parts:
        if reads_backbone(head, parts) and embedding & {*indices_of(head)}:
            yield ConfigProblem(
                head.at('in_index'),
                f'is {head.cfg.get("in_index", "-1 (the default)")}: this output of '
                f"{backbone.cls.__name__} is CLIP's image embedding, one vector for "
                'the whole image, so all pixels would get the same score.',
                'Set in_index=-2 for the dense map, or to the index of a level.',
            )


def _without_effect(parts: Sequence[Component]) -> Iterator[ConfigProblem]:
    """Interventions in a cascade whose last head, which predicts, has none."""
    cascade = [part for part in parts if _IN_CASCADE(part.place)]
    if any(head.is_a(CausalInterventionHead) for head in cascade[-1:]):
        return
    for head in cascade:
        if head.is_a(CausalInterventionHead):
            yield ConfigProblem(
                head.at('type'),
                f'intervenes, but {cascade[-1].place} predicts: it reads the maps of '
                'the backbone without the intervention.',
                'Put the CausalInterventionHead last, with the last head as its '
                'predictor.',
            )


def _cut_off(neck: Component, parts: Sequence[Component]) -> Iterator[ConfigProblem]:
    """Heads that would take a neck's last levels for CLIP's dense map and embedding."""
    for head in parts:
        if head.is_a(CausalInterventionHead):
            yield ConfigProblem(
                neck.place,
                f'{neck.cls.__name__} does not pass on the last two outputs of the '
                f"backbone, CLIP's dense map and image embedding, which {head.place} "
                'reads.',
                'Remove it. To use it with a backbone beside CLIP, set '
                "backbone=dict(type='CLIPGuidedBackbone', neck=...).",
            )


def is_known(part: Component) -> bool:
    """Whether a component's class is MMSegmentation's or ours.

    Args:
        part: Component of a config.
    """
    return part.cls is not None and part.cls.__module__.startswith(_KNOWN)


def reads_backbone(head: Component, parts: Sequence[Component]) -> bool:
    """Whether a head of a known class gets the backbone's own tuple.

    Args:
        head: Component of a config.
        parts: All components.
    """
    if not head.is_a(BaseDecodeHead) or not is_known(head):
        return False
    place, _, last = head.place.rpartition('.')
    if last == 'predictor':
        # CausalInterventionHead changes what its predictor gets.
        return any(one.place == place and one.is_a(PromptTuningHead) for one in parts)
    return head.place.partition('[')[0] in _PLACES


def indices_of(head: Component) -> Sequence[Any]:
    """Indices of the entries that a head reads from the backbone's tuple.

    Args:
        head: Component of a config, a :class:`BaseDecodeHead`.
    """
    given = head.value('in_index')
    if isinstance(given, int):
        return [given] if isinstance(head.cfg.get('in_channels'), int) else []
    return given if isinstance(given, list | tuple) else []
