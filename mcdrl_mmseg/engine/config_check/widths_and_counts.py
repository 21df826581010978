"""Widths d and numbers of classes K that must agree within a config."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mcdrl_common.sites import Site, SiteDataError
from mcdrl_mmseg.clip.model_config import get_model_config
from mcdrl_mmseg.datasets import EndoscopySiteDataset
from mcdrl_mmseg.models import (
    CausalInterventionHead,
    ConfounderDictionary,
    PromptTuningHead,
)

from .clip_of_config import image_tower, prompts_of
from .config_components import Component, datasets_of
from .config_problem import ConfigProblem
from .evaluated_data import classes_of

_BINARY_LABELS = 2
_OURS = (CausalInterventionHead, EndoscopySiteDataset)
# Also heads of a cascade. Auxiliary heads may learn something else than the classes.
_SEGMENTING = ('model.decode_head', 'model.decode_head.predictor')


def width_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Widths d and c that do not agree."""
    tower = image_tower(parts)
    if tower is not None:
        name = tower[1].model_name
        try:
            width = get_model_config(name)['embed_dim']
        except ValueError:
            return  # reported by the backbone's constructor
        yield from _joint_widths(parts, name, width)
    for head in parts:
        if head.is_a(CausalInterventionHead):
            yield from _intervention_widths(head)


def _joint_widths(
    parts: Sequence[Component], name: str, width: int
) -> Iterator[ConfigProblem]:
    for part in parts:
        keys = []
        if part.is_a(ConfounderDictionary):
            keys.append('embed_dims')
        # Only for the dense map; other maps have the backbone's widths.
        heads = part.is_a(CausalInterventionHead) or part.is_a(PromptTuningHead)
        if heads and part.value('in_index') == -2:
            keys.append('in_channels')
        for key in keys:
            if part.cfg.get(key, width) != width:
                yield ConfigProblem(
                    part.at(key),
                    f'd={part.cfg[key]}, but the joint space of {name} has {width} '
                    'dimensions.',
                    f'Set {key}={width}.',
                )


def _intervention_widths(head: Component) -> Iterator[ConfigProblem]:
    """Widths that the head would fill in, but that the config overrides."""
    intervention = head.cfg.get('intervention') or {}
    dictionary = head.cfg.get('dictionary') or {}
    for key, source, expected in (
        ('embed_dims', 'in_channels', head.cfg.get('in_channels')),
        ('dictionary_dims', 'dictionary.embed_dims', dictionary.get('embed_dims')),
    ):
        given = intervention.get(key, expected)
        if given != expected:
            yield ConfigProblem(
                head.at(f'intervention.{key}'),
                f'is {given}, but {source} is {expected}.',
                'Remove it: the head sets it.',
            )


def count_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Numbers of classes K that do not agree."""
    labels, lesions = _labels(parts)
    # Stock heads on stock data may count their classes differently.
    ours = any(part.is_a(kind) for part in parts for kind in _OURS)
    for part in parts:
        if part.is_a(CausalInterventionHead) and labels:
            yield from _image_level(part, len(labels))
        if part.is_a(ConfounderDictionary):
            prompts = prompts_of(part.cfg) if labels else None
            mismatch = prompts and prompts.label_mismatch(labels[1:], lesions)
            if mismatch:
                yield ConfigProblem(part.at('prompts.classes'), mismatch, '')
        elif labels and ours:
            yield from _outputs(part, len(labels))


def image_losses(head: Component) -> list[str]:
    """Losses of a CausalInterventionHead that need an image's lesion classes.

    Args:
        head: The head's component.
    """
    return [key for key in ('loss_causal', 'loss_contrast') if head.cfg.get(key, True)]


def prompt_classes(head: Component) -> tuple[str, ...]:
    """Lesion classes of a CausalInterventionHead's prompts; empty if not readable.

    Args:
        head: The head's component.
    """
    prompts = prompts_of(head.cfg.get('dictionary') or {})
    return prompts.classes if prompts else ()


def _image_level(head: Component, count: int) -> Iterator[ConfigProblem]:
    """Labels that image-level losses cannot match with lesion classes."""
    names = prompt_classes(head)
    if names and count not in (_BINARY_LABELS, len(names) + 1):
        for key in image_losses(head):
            yield ConfigProblem(
                head.at(key),
                f'needs to know which of the lesion classes {list(names)} an image '
                f'shows, but the data have {count - 1} lesion labels, which cannot be '
                'matched with them.',
                'Write prompts.classes in the number and order of the labels, or set '
                f'{key}=None.',
            )


def _outputs(part: Component, count: int) -> Iterator[ConfigProblem]:
    """Decode heads with another number of classes than the data."""
    if part.is_a(PromptTuningHead):
        key, given = 'class_names', len(part.cfg.get('class_names', [None] * count))
    elif re.sub(r'\[\d+\]', '', part.place) in _SEGMENTING:
        key, given = 'num_classes', part.cfg.get('num_classes', count)
        # num_classes=1 is mmseg's older form of one output channel for two classes.
        if count == _BINARY_LABELS and given == 1:
            return
    else:
        return
    if given != count:
        yield ConfigProblem(
            part.at(key),
            f'K={given} classes, but the training data have {count}, including the '
            'background.',
            f'Give {count} classes, or correct metainfo.classes of the data.',
        )


def _labels(parts: Sequence[Component]) -> tuple[list[str], set[str]]:
    """Classes of the training data, and lesion classes of its sites."""
    labels: list[str] = []
    lesions: set[str] = set()
    for part in datasets_of(parts, 'train'):
        labels = labels or classes_of(part)
        for site in part.cfg.get('sites') or ():
            # Invalid entries are reported by the rules on sites.
            with contextlib.suppress(SiteDataError):
                lesions |= set(Site.from_cfg(site).lesion_classes)
    return labels, lesions
