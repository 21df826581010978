"""The label of pixels without ground truth (ignore_index) in all sections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmcv.transforms import Pad
from mmseg.models.decode_heads.decode_head import BaseDecodeHead

from .config_components import Component, datasets_of
from .config_problem import ConfigProblem
from .evaluated_data import classes_of

_DEFAULT = 255
_KEYS_OF_STEPS = ('ignore_index', 'seg_pad_val')


def ignored_label_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Heads, metrics, transforms and padding that ignore another label than the data.

    The data's label would then be trained or scored as a class, or crash the training
    at the first such pixel.
    """
    of_data = {
        loader: {
            part.value('ignore_index', _DEFAULT) for part in datasets_of(parts, loader)
        }
        for loader in ('train', 'val', 'test')
    }
    for part in parts:
        loader, key = 'train', 'ignore_index'
        if part.place.partition('_')[2].startswith('evaluator'):
            loader = part.place.partition('_')[0]
        elif part.place == 'model.data_preprocessor':
            key = 'seg_pad_val'
        elif not part.is_a(BaseDecodeHead):
            continue
        own = part.value(key, _DEFAULT)
        labels = of_data.get(loader, set())
        if isinstance(own, int) and labels and labels != {own}:
            expected = sorted(labels - {own})
            yield _other_label(part.at(key), own, loader, expected[0])
    for loader in of_data:
        for data in datasets_of(parts, loader):
            for step in parts:
                if step.place.startswith(data.at('pipeline')):
                    yield from _of_step(step, data, loader)


def _of_step(step: Component, data: Component, loader: str) -> Iterator[ConfigProblem]:
    """A transform that pads with a label that is neither ignored nor a class."""
    expected = data.value('ignore_index', _DEFAULT)
    key, own = _label_of_step(step)
    if isinstance(own, int) and own != expected and not 0 <= own < _count(data):
        yield _other_label(step.at(key), own, loader, expected)


def _label_of_step(step: Component) -> tuple[str, Any]:
    """Key and value of the label that a transform ignores or pads with."""
    if step.is_a(Pad):
        filled = step.cfg.get('pad_val')
        own = filled.get('seg', _DEFAULT) if isinstance(filled, Mapping) else _DEFAULT
        return 'pad_val.seg', own
    for key in _KEYS_OF_STEPS:
        own = step.value(key)
        if own is not None:
            return key, own
    return '', None


def _count(data: Component) -> int:
    """Number of classes; at least 1, the background."""
    return max(len(classes_of(data)), 1)


def _other_label(place: str, own: int, loader: str, expected: int) -> ConfigProblem:
    return ConfigProblem(
        place,
        f'is {own}, but the data of {loader}_dataloader mark pixels without ground '
        f'truth with {expected}.',
        f'Set it to {expected}.',
    )
