"""Schedules and intervals with the wrong unit, or beyond the end of the training."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.hooks import CheckpointHook
from mmengine.optim.scheduler import (
    CosineAnnealingParamScheduler,
    LinearParamScheduler,
    PolyParamScheduler,
)
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS

from mcdrl_common.config_datasets import type_name

from .config_components import Component
from .config_problem import ConfigProblem

_EPOCHS, _ITERATIONS = 'EpochBasedTrainLoop', 'IterBasedTrainLoop'
_SPREAD_UP_TO_THE_END = (
    CosineAnnealingParamScheduler,
    LinearParamScheduler,
    PolyParamScheduler,
)


def training_loop(cfg: Mapping[str, Any]) -> tuple[Any, Any]:
    """Whether the training loop counts epochs, and its number of epochs or iterations.

    Args:
        cfg: Experiment config.
    """
    train = cfg.get('train_cfg') or {}
    by_epoch = train.get('by_epoch', type_name(train) != _ITERATIONS)
    return by_epoch, train.get('max_epochs' if by_epoch else 'max_iters')


def unit_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Schedules and checkpoints that count epochs in an iteration-based training.

    An iteration-based loop has a single epoch, which ends with the training.
    """
    by_epoch, _ = training_loop(cfg)
    if not isinstance(by_epoch, bool) or by_epoch:
        return
    for part in parts:
        is_schedule = part.place.startswith('param_scheduler')
        if is_schedule and part.cfg.get('convert_to_iter_based'):
            continue
        if not (is_schedule or part.is_a(CheckpointHook)):
            continue
        if part.value('by_epoch') is True:
            yield ConfigProblem(
                part.at('by_epoch'),
                'counts epochs, but the training loop counts iterations: it would '
                'take effect once, at the end.',
                'Set by_epoch=False and give its numbers in iterations.',
            )


def endless_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Schedules without an end, which MMEngine spreads over a billion steps.

    A warm-up then stays at its initial value, and a decay has no effect.
    """
    for part in parts:
        if not any(part.is_a(kind) for kind in _SPREAD_UP_TO_THE_END):
            continue
        if part.cfg.get('end') is None and not part.cfg.get('T_max'):
            yield ConfigProblem(
                part.at('end'),
                'is not given: the schedule would be spread over a billion steps and '
                'change nothing.',
                'Set it to the epoch or iteration where the schedule ends.',
            )


def sampler_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Infinite samplers in loops that wait for the sampler's end.

    MMSegmentation's own configs use them with an iteration-based loop.
    """
    waiting = dict(val='a validation', test='a test')
    train = cfg.get('train_cfg') or {}
    if train.get('by_epoch') is True or type_name(train) == _EPOCHS:
        waiting['train'] = 'an epoch'
    for part in parts:
        loader = part.place.removesuffix('_dataloader.sampler')
        if loader in waiting and part.is_a(InfiniteSampler):
            yield ConfigProblem(
                part.at('type'),
                f'gives images without end: {waiting[loader]} would never end.',
                "Use dict(type='DefaultSampler').",
            )


def validation_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Validations and checkpoints that start after the end of the training."""
    by_epoch, length = training_loop(cfg)
    if not isinstance(length, int):
        return
    begins = [('train_cfg.val_begin', cfg['train_cfg'].get('val_begin'))]
    begins += [
        (part.at('save_begin'), part.cfg.get('save_begin'))
        for part in parts
        if part.is_a(CheckpointHook) and part.value('by_epoch') == by_epoch
    ]
    for place, begin in begins:
        if isinstance(begin, int) and begin > length:
            key = 'max_epochs' if by_epoch else 'max_iters'
            what = f'is {begin}, but training ends after train_cfg.{key}={length}.'
            yield ConfigProblem(place, what, 'Begin earlier, or train longer.')


def batch_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Fewer images than a batch, if incomplete batches are dropped.

    Files are listed, not opened, and only if the config drops batches.
    """
    loader = cfg.get('train_dataloader') or {}
    train = cfg.get('train_cfg') or {}
    size = loader.get('batch_size', 1)
    endless = type_name(train) == _ITERATIONS or not train.get('by_epoch', True)
    if not loader.get('drop_last') or endless or not isinstance(size, int):
        return
    count = _count_images(loader.get('dataset'))
    ranks = max(1, int(os.environ.get('WORLD_SIZE', 1)))
    # Every rank gets the same number, rounded up by repeating images.
    if count is not None and -(-count // ranks) < size:
        of_ranks = f' and {ranks} processes' if ranks > 1 else ''
        yield ConfigProblem(
            'train_dataloader.drop_last',
            f'there are {count} images for batches of {size}{of_ranks}: no batch is '
            'complete, so all would be dropped.',
            'Set drop_last=False, or batch_size to at most '
            f'{max(1, -(-count // ranks))}.',
        )


def _count_images(dataset: Any) -> int | None:
    """Number of images; None if the data set cannot be built (reported elsewhere)."""
    try:
        with DefaultScope.overwrite_default_scope('mmseg'):
            return len(DATASETS.build(copy.deepcopy(dataset)))
    except Exception:
        return None
