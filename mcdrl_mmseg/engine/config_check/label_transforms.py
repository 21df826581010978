"""Training transforms that produce wrong labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmseg.datasets.transforms import RandomMosaic, RandomRotFlip

from mcdrl_mmseg.models import CausalInterventionHead

from .config_components import Component, datasets_of
from .config_problem import ConfigProblem
from .evaluated_data import classes_of
from .widths_and_counts import image_losses, prompt_classes

_TRAINING_DATA = 'train_dataloader.dataset'
_DEFAULT_PROB = 0.5
_BINARY_LABELS = 2


def label_transform_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """A rotation that interpolates labels, and a mosaic with one part's lesion classes.

    With only two classes the rotation is harmless: labels are rounded to one of them.
    """
    counts = [len(classes_of(part)) for part in datasets_of(parts, 'train')]
    count = max(counts, default=0)
    for step in parts:
        if not step.place.startswith(_TRAINING_DATA):
            continue
        if step.is_a(RandomMosaic) and count == _BINARY_LABELS:
            yield from _words_of_a_mosaic(step, parts)
        rotates = step.is_a(RandomRotFlip) and step.cfg.get(
            'rotate_prob', _DEFAULT_PROB
        )
        if rotates and count > 2:
            yield ConfigProblem(
                step.at('rotate_prob'),
                f'is {rotates}: RandomRotFlip interpolates labels as it does images. '
                f'With {count} classes, wrong labels appear between two classes.',
                "Set rotate_prob=0, and rotate with dict(type='RandomRotate', prob="
                f'{rotates}, degree=20, seg_pad_val=255).',
            )


def _words_of_a_mosaic(
    step: Component, parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Losses that need an image's lesion classes, and get those of one mosaic part."""
    for head in parts:
        if not head.is_a(CausalInterventionHead) or len(prompt_classes(head)) < 2:
            continue
        for key in image_losses(head):
            yield ConfigProblem(
                step.place,
                'joins four images but keeps the lesion classes of only one, and '
                f'{head.at(key)} needs the lesion classes of all four.',
                f'Remove it, give each lesion class a label, or set {key}=None.',
            )
