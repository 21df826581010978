"""Validation and test data that do not fit the training data or the metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmcv.transforms import RandomFlip

from mcdrl_common.sites import TWO_CLASSES
from mcdrl_mmseg.datasets import EndoscopySiteDataset
from mcdrl_mmseg.datasets.transforms.load_lesion_mask import MASK_LOADERS
from mcdrl_mmseg.evaluation import SiteLesionMetric

from .config_components import Component, datasets_of
from .config_problem import ConfigProblem


def evaluated_class_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Classes in another order or number than in the training.

    Different names alone are no problem: a polyp may be called lesion elsewhere.
    """
    trained = next(map(classes_of, datasets_of(parts, 'train')), [])
    for loader in ('val', 'test'):
        for part in datasets_of(parts, loader):
            classes = classes_of(part)
            if not trained or not classes or classes == trained:
                continue
            if len(classes) != len(trained) or sorted(classes) == sorted(trained):
                yield ConfigProblem(
                    part.at('metainfo.classes'),
                    f'are {classes}, but the training data have {trained}: a label '
                    'would mean another class.',
                    'Give the same classes in the same order.',
                )


def background_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """A class 0 that is not the background, but which ``SiteLesionMetric`` ignores.

    ``reduce_zero_label`` causes this: it turns the first labelled class into label 0.
    ``EndoscopySiteDataset`` refuses such classes itself.
    """
    background = TWO_CLASSES[0]
    for loader in ('val', 'test'):
        evaluator = f'{loader}_evaluator'
        if not any(
            part.is_a(SiteLesionMetric) and part.place.startswith(evaluator)
            for part in parts
        ):
            continue
        for part in datasets_of(parts, loader):
            classes = classes_of(part)
            if part.is_a(EndoscopySiteDataset):
                continue
            if classes and classes[0] != background:
                yield ConfigProblem(
                    part.at('metainfo.classes'),
                    f'begin with {classes[0]!r}: SiteLesionMetric treats class 0 as '
                    'the background and would leave it out of every score.',
                    f'If it is the background, call it {background!r}. If not, label '
                    'the lesions from 1 on, or set '
                    f"{evaluator}=dict(type='IoUMetric').",
                )


def classes_of(dataset: Component) -> list[str]:
    """Classes of an MMSegmentation data set; empty if the config does not say.

    Args:
        dataset: The data set's component.
    """
    metainfo = dataset.cfg.get('metainfo')
    own = metainfo.get('classes') if isinstance(metainfo, Mapping) else None
    classes = own or dataset.cls.METAINFO.get('classes') or ()
    # MMSegmentation also accepts the name of a file with classes.
    return [] if isinstance(classes, str) else [*map(str, classes)]


def flip_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Flipped masks in an evaluation: only predictions are flipped back."""
    for loader in ('val', 'test'):
        for data in datasets_of(parts, loader):
            masks = False
            for step in parts:
                if not step.place.startswith(data.at('pipeline')):
                    continue
                masks = masks or getattr(step.cls, '__name__', None) in MASK_LOADERS
                if masks and step.is_a(RandomFlip) and step.cfg.get('prob'):
                    yield ConfigProblem(
                        step.place,
                        'flips the masks too, but predictions are flipped back: they '
                        'would be compared with flipped masks.',
                        'Remove it; --tta averages over flips through tta_pipeline.',
                    )


def window_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Sliding windows without a size, or with gaps between them."""
    model = cfg.get('model')
    test = model.get('test_cfg') if isinstance(model, Mapping) else None
    if not isinstance(test, Mapping) or test.get('mode') != 'slide':
        return
    for key in ('crop_size', 'stride'):
        if not test.get(key):
            yield ConfigProblem(
                'model.test_cfg',
                f"mode='slide' lacks {key}: the first validation would fail.",
                f'Add {key}=(height, width).',
            )
    sides = zip(_pair(test.get('crop_size')), _pair(test.get('stride')))
    if any(stride > crop for crop, stride in sides):
        yield ConfigProblem(
            'model.test_cfg.stride',
            f'is {test["stride"]}, larger than crop_size={test["crop_size"]}: pixels '
            'between the windows would get no prediction.',
            'Set it to crop_size or less.',
        )


def _pair(value: Any) -> tuple[int, ...]:
    numbers = value if isinstance(value, (list, tuple)) else ()
    return tuple(n for n in numbers if isinstance(n, int))
