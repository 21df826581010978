"""Images that reach CLIP with another normalisation than in its training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mmseg.registry import MODELS

from mcdrl_mmseg.clip.normalisation import Normalisation, differs, normalisation_of
from mcdrl_mmseg.clip.weights import names_a_file
from mcdrl_mmseg.models import CLIPGuidedBackbone, CLIPVisionBackbone

from .clip_of_config import clip_spec
from .config_components import Component
from .config_problem import ConfigProblem


def normalisation_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """A data preprocessor whose mean, std or order of channels is not CLIP's.

    A guide undoes the data preprocessor's normalisation and applies its own; both must
    be correct.
    """
    model = cfg.get('model') or {}
    # MMEngine also reads it from the top level of a config.
    found = model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    applied = Component.of('model.data_preprocessor', found, MODELS)
    for part in parts:
        if part.place != 'model.backbone':
            continue
        if part.is_a(CLIPVisionBackbone):
            yield from _of_tower(part, applied)
        elif part.is_a(CLIPGuidedBackbone):
            yield from _undone(part, applied)
            yield from _of_guide(part)


def _of_tower(part: Component, applied: Component) -> Iterator[ConfigProblem]:
    """Images that a tower gets directly from the data preprocessor."""
    spec = clip_spec(part.cfg)
    if spec.weights is None:
        return
    try:
        wanted = normalisation_of(spec)
    except ValueError:
        return  # reported by the backbone's constructor
    mean, std = _mean_and_std(applied)
    if not (_is_of_three_channels(mean) and _is_of_three_channels(std)):
        yield ConfigProblem(
            applied.at('mean'),
            f'mean={mean} and std={std} are not three numbers each.',
            'Give one number for each channel.',
        )
    elif differs(wanted, mean, std):
        yield ConfigProblem(
            applied.at('mean'),
            f'mean={list(mean)} and std={list(std)}, but {spec.model_name} was '
            f'trained with {_in_pixel_values(wanted)}.',
            'Set them to these.',
        )
    if not applied.value('bgr_to_rgb'):
        yield ConfigProblem(
            applied.at('bgr_to_rgb'),
            f'is not True: {spec.model_name} was trained with RGB, and images are '
            'read as BGR.',
            'Set bgr_to_rgb=True.',
        )


def _undone(part: Component, applied: Component) -> Iterator[ConfigProblem]:
    """A guide that undoes another normalisation than the data preprocessor applies."""
    for key, wanted in zip(('mean', 'std'), _mean_and_std(applied), strict=True):
        given = part.value(key)
        both = _is_of_three_channels(given) and _is_of_three_channels(wanted)
        if not both or not np.allclose(given, wanted, atol=1e-3):
            yield ConfigProblem(
                part.at(key),
                f'is {given}, but {key} of {applied.place} is {wanted}: '
                'CLIP would see images in wrong colours.',
                'Set both to the same three numbers.',
            )
    bgr = not (applied.value('bgr_to_rgb') or applied.value('rgb_to_bgr'))
    if part.value('bgr') != bgr:
        yield ConfigProblem(
            part.at('bgr'),
            f'is {not bgr}, but {applied.place} passes on '
            f'{"BGR" if bgr else "RGB"}: CLIP would see images in wrong colours.',
            f'Set bgr={bgr}.',
        )


def _of_guide(part: Component) -> Iterator[ConfigProblem]:
    """A guide that applies another normalisation than its weights were trained with.

    For weights from a file the right normalisation is not known, and nothing is
    reported.
    """
    spec = clip_spec(part.cfg.get('clip') or {})
    mean, std = part.value('clip_mean'), part.value('clip_std')
    unknown = spec.weights is None or names_a_file(spec.pretrained, spec.model_name)
    if unknown or (mean is None and std is None):
        return
    try:
        wanted = normalisation_of(spec)
    except ValueError:
        return  # reported by the backbone's constructor
    values = [[255 * value for value in each] for each in wanted]
    mean = values[0] if mean is None else mean
    std = values[1] if std is None else std
    three = _is_of_three_channels(mean) and _is_of_three_channels(std)
    if not three or differs(wanted, mean, std):
        yield ConfigProblem(
            part.at('clip_mean'),
            f'clip_mean={mean} and clip_std={std}, but {spec.weights!r} of '
            f'{spec.model_name} was trained with {_in_pixel_values(wanted)}.',
            'Leave both out, or set them to these.',
        )


def _mean_and_std(applied: Component) -> tuple[Any, Any]:
    """Mean and std of a data preprocessor, which may apply no normalisation."""
    return applied.value('mean') or [0.0] * 3, applied.value('std') or [1.0] * 3


def _in_pixel_values(wanted: Normalisation) -> str:
    mean, std = ([round(255 * value, 4) for value in each] for each in wanted)
    return f'mean={mean} and std={std}'


def _is_of_three_channels(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and len(value) == 3
        and all(isinstance(number, int | float) for number in value)
    )
