"""The label of pixels without ground truth, which several sections name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead

from .config_components import Component, datasets_of
from .config_problem import ConfigProblem

_DEFAULT = 255


def ignored_label_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Heads, metrics and padding that leave out another label than the data.

    The label of the data would then be trained or scored as a class, or end the
    training at the first such pixel.
    """
    of_data = {
        loader: {
            part.cfg.get('ignore_index', _DEFAULT)
            for part in datasets_of(parts, loader)
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
        own = part.cfg.get(key, _DEFAULT)
        labels = of_data.get(loader, set())
        if isinstance(own, int) and labels and labels != {own}:
            expected = sorted(labels - {own})
            yield ConfigProblem(
                part.at(key),
                f'is {own}, but the data of {loader}_dataloader mark pixels without '
                f'ground truth by {expected[0]}.',
                f'Set it to {expected[0]}.',
            )
