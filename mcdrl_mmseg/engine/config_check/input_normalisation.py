"""Images that reach CLIP in another normalisation than it was trained with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mcdrl_mmseg.clip.normalisation import differs, normalisation_of
from mcdrl_mmseg.models import CLIPVisionBackbone

from .clip_of_config import clip_spec
from .config_components import Component
from .config_problem import ConfigProblem


def normalisation_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """A data preprocessor whose mean, std or order of channels is not CLIP's.

    A guide undoes the data preprocessor's normalisation and applies its own.
    """
    backbones = [part for part in parts if part.place == 'model.backbone']
    for part in backbones:
        spec = clip_spec(part.cfg)
        if not part.is_a(CLIPVisionBackbone) or spec.weights is None:
            continue
        try:
            wanted = normalisation_of(spec)
        except ValueError:
            return  # told by the backbone's constructor
        found = (cfg.get('model') or {}).get('data_preprocessor') or {}
        mean, std = found.get('mean') or [0.0] * 3, found.get('std') or [1.0] * 3
        place = 'model.data_preprocessor'
        if not (_is_of_three_channels(mean) and _is_of_three_channels(std)):
            yield ConfigProblem(
                f'{place}.mean',
                f'mean={mean} and std={std} are not three numbers each.',
                'Give one for each channel.',
            )
        elif differs(wanted, mean, std):
            values = [[round(255 * v, 4) for v in part] for part in wanted]
            yield ConfigProblem(
                f'{place}.mean',
                f'mean={list(mean)} and std={list(std)}, but {spec.model_name} was '
                f'trained with mean={values[0]} and std={values[1]}.',
                'Set them to these.',
            )
        if not found.get('bgr_to_rgb', False):
            yield ConfigProblem(
                f'{place}.bgr_to_rgb',
                f'is not True: {spec.model_name} was trained with RGB, and images are '
                'read as BGR.',
                'Set bgr_to_rgb=True.',
            )


def _is_of_three_channels(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and len(value) == 3
        and all(isinstance(number, int | float) for number in value)
    )
