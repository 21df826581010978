"""Training steps that make other labels than the masks have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmseg.datasets.transforms import RandomRotFlip

from .config_components import Component, datasets_of
from .config_problem import ConfigProblem
from .evaluated_data import classes_of

_TRAINING_DATA = 'train_dataloader.dataset'
_DEFAULT_PROB = 0.5


def label_transform_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """A rotation that interpolates labels, where there is a class between two others.

    Between two classes alone there is none: they are rounded, as to the nearest.
    """
    counts = [len(classes_of(part)) for part in datasets_of(parts, 'train')]
    count = max(counts, default=0)
    for step in parts:
        if not step.place.startswith(_TRAINING_DATA):
            continue
        rotates = step.is_a(RandomRotFlip) and step.cfg.get(
            'rotate_prob', _DEFAULT_PROB
        )
        if rotates and count > 2:
            yield ConfigProblem(
                step.at('rotate_prob'),
                f'is {rotates}: RandomRotFlip rotates labels as it does images, so '
                f'that of {count} classes others appear between two.',
                "Set rotate_prob=0, and rotate by dict(type='RandomRotate', prob="
                f'{rotates}, degree=20, seg_pad_val=255).',
            )
