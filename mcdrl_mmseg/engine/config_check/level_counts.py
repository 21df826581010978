"""Heads whose ``in_index`` names a level that they do not get."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead

from mcdrl_mmseg.clip.model_config import get_model_config
from mcdrl_mmseg.models import (
    CausalInterventionHead,
    CLIPGuidedBackbone,
    CLIPVisionBackbone,
)

from .clip_of_config import image_tower
from .config_components import Component
from .config_problem import ConfigProblem
from .head_inputs import indices_of, is_known, reads_backbone

_FROM_CLIP = 2  # the dense map and the image embedding, after the levels


def level_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """An ``in_index`` beyond the levels of ``out_indices``.

    Building the model does not find this; the first step would fail. An index that hits
    CLIP's dense map is only reported if its width does not fit: it may be intended.
    """
    at = {part.place: part for part in parts}
    backbone = at.get('model.backbone')
    levels = None if backbone is None else _level_count(backbone, at)
    if levels is None or cfg['model'].get('neck'):
        return
    maps = levels + _FROM_CLIP
    width = _joint_width(parts)
    for head in parts:
        if not head.is_a(CausalInterventionHead):
            if reads_backbone(head, parts):
                yield from _wrong(head, indices_of(head), maps, levels, width)
            continue
        own = _several(head.value('in_index'))
        wrong = list(_wrong(head, own, maps, levels, width))
        yield from wrong
        predictor = at.get(head.at('predictor'))
        if wrong or predictor is None or not is_known(predictor):
            continue
        if predictor.is_a(BaseDecodeHead):
            # The predictor gets the dense map only if it is intervened on.
            dense = levels if any(i in (-2, levels) for i in own) else None
            handed = levels + (dense is not None)
            handed += bool(head.value('similarity_map'))
            yield from _wrong(predictor, indices_of(predictor), handed, dense, width)


def _wrong(
    head: Component,
    indices: Sequence[Any],
    count: int,
    dense: int | None,
    width: int | None,
) -> Iterator[ConfigProblem]:
    """Indices beyond ``count`` maps, and a dense map that is taken for a level."""
    remedy = 'Use another index, or add the level to out_indices of the backbone.'
    numbers = [index for index in indices if isinstance(index, int)]
    if beyond := [i for i in numbers if not -count <= i < count]:
        yield ConfigProblem(
            head.at('in_index'),
            f'names {", ".join(map(str, beyond))}, but the head gets {count} maps, '
            f'with indices 0 to {count - 1}.',
            remedy,
        )
    for index, given in zip(indices, _several(head.cfg.get('in_channels'))):
        if index == dense and isinstance(given, int) and width not in (None, given):
            yield ConfigProblem(
                head.at('in_index'),
                f"names {index}, which is CLIP's dense map, after the levels. It has "
                f'{width} channels, but in_channels is {given}.',
                remedy,
            )


def _joint_width(parts: Sequence[Component]) -> int | None:
    tower = image_tower(parts)
    try:
        return (
            None
            if tower is None
            else get_model_config(tower[1].model_name)['embed_dim']
        )
    except ValueError:
        return None  # reported by the backbone's constructor


def _level_count(backbone: Component, at: Mapping[str, Component]) -> int | None:
    """Number of levels before CLIP's two maps; None if the config does not say."""
    if backbone.is_a(CLIPVisionBackbone):
        return len(backbone.value('out_indices') or ())
    wrapped = at.get(backbone.at('backbone'))
    if not backbone.is_a(CLIPGuidedBackbone) or backbone.cfg.get('neck'):
        return None
    if wrapped is None or not is_known(wrapped):
        return None
    given = wrapped.value('out_indices')
    return len(given) if isinstance(given, list | tuple) else None


def _several(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]
