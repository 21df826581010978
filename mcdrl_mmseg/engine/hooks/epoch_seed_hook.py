"""Seeds every epoch, so that a resumed run equals an uninterrupted one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.dist import broadcast_object_list, get_rank
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmseg.registry import HOOKS
from torch.utils.data import get_worker_info

# Attributes in which data sets, wrappers and transforms keep transforms.
_HOLDERS = ('datasets', 'dataset', 'pipeline', 'transforms', 'aug')


def epoch_seed(seed: int, epoch: int, iteration: int, rank: int, stream: int) -> int:
    """A different seed for every process of every epoch.

    Args:
        seed: The run's seed.
        epoch: Epochs trained so far.
        iteration: Iterations trained so far; distinguishes restarts of an
            iteration-based loop.
        rank: Rank of the process.
        stream: 0 for the process itself, 1 + n for its dataloader worker n.

    Returns:
        A seed in [0, 2**32), the range that NumPy accepts.
    """
    sequence = np.random.SeedSequence((seed, epoch, iteration, rank, stream))
    return int(sequence.generate_state(1)[0])


def _seed_all(seed: int, dataset: Any) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    for index, step in enumerate(_steps_with_generators(dataset)):
        state = np.random.SeedSequence((seed, index)).generate_state(2)
        # One generator shared by all transforms of the step. With set_random_seed()
        # each transform of albumentations gets its own generator with the same numbers:
        # a horizontal flip would always come with a vertical one.
        step.set_random_state(
            np.random.default_rng(int(state[0])), random.Random(int(state[1]))
        )


def _steps_with_generators(holder: Any, within: tuple[int, ...] = ()) -> Iterator[Any]:
    """Transforms with generators of their own, besides Python's, NumPy's and torch's.

    These are albumentations' transforms from 1.4.21 on, and therefore ``Albu``. Their
    generators are created with the data set, and every dataloader worker of every epoch
    would start with a copy.

    Args:
        holder: A data set, a dataset wrapper, or transforms.
        within: Ids of the objects that contain it, against cycles: a transform that
            mixes images may refer to its data set.
    """
    if id(holder) in within:
        return
    within = (*within, id(holder))
    if callable(getattr(holder, 'set_random_state', None)):
        yield holder
    elif isinstance(holder, list | tuple):
        for item in holder:
            yield from _steps_with_generators(item, within)
    else:
        for name in _HOLDERS:
            yield from _steps_with_generators(getattr(holder, name, None), within)


def _seed_worker(
    worker_id: int,
    init_fn: Callable[[int], None] | None,
    seed_of: Callable[..., int],
    by_start: bool,
) -> None:
    if init_fn is not None:
        init_fn(worker_id)
    info = get_worker_info()
    # torch draws another seed each time workers start.
    start = dict(iteration=info.seed) if by_start and info else {}
    seed = seed_of(stream=1 + worker_id, **start)
    _seed_all(seed, info.dataset if info else None)


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed Python, NumPy, torch and ``Albu`` at the start of every training epoch.

    MMEngine stores no random state in its checkpoints: dropout, sampled confounders
    and augmentations of a resumed run would start again from the run's first random
    numbers. With this hook they depend only on seed, epoch and rank. That holds in
    dataloader workers too, which MMEngine seeds identically in every epoch. The order
    of the images depends on the seed in the checkpoint. An iteration-based loop counts
    as one epoch; its workers get new seeds in every pass over the data.

    A run resumes exactly from a checkpoint written at the end of an epoch, if no
    accumulated gradients are pending there (``accumulative_counts``). Dataloader
    workers must restart in every epoch (``persistent_workers=False``).

    Examples:
        >>> custom_hooks = [dict(type='EpochSeedHook')]
        >>> randomness = dict(seed=0)
    """

    priority = 'NORMAL'

    def before_train(self, runner: Runner) -> None:
        """Fix the seed; warn of persistent workers."""
        shared = [runner.seed]
        # Ranks may have different seeds, but must agree on the order of the images.
        broadcast_object_list(shared)
        self._seed = shared[0]
        loader = runner.train_dataloader
        self._init_fn = loader.worker_init_fn
        for sampler in (loader.sampler, getattr(loader.batch_sampler, 'sampler', None)):
            if sampler is not None and hasattr(sampler, 'seed'):
                sampler.seed = self._seed
        if loader.num_workers and loader.persistent_workers:
            runner.logger.warning(
                'train_dataloader.persistent_workers=True: the data workers keep '
                'their random state from epoch to epoch, so a resumed run sees other '
                'augmentations than an uninterrupted run. Set it to False for runs '
                'that can be resumed exactly.'
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed this process, and the workers that the epoch will start."""
        now = dict(epoch=runner.epoch, iteration=runner.iter, rank=get_rank())
        seed_of = partial(epoch_seed, self._seed, **now)
        _seed_all(seed_of(stream=0), runner.train_dataloader.dataset)
        loop = runner.train_loop
        runner.train_dataloader.worker_init_fn = partial(
            _seed_worker,
            init_fn=self._init_fn,
            seed_of=seed_of,
            by_start=isinstance(loop, IterBasedTrainLoop),
        )
        # MMEngine up to 0.10.7 starts an iteration loop's workers when it builds it.
        iterator: Any = getattr(loop, 'dataloader_iterator', None)
        if getattr(iterator, '_iterator', None) is not None:
            iterator._iterator = iter(runner.train_dataloader)
