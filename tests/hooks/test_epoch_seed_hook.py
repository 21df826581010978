import logging
import random
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from torch.utils.data import DataLoader, Dataset

from mcdrl_mmseg.hooks import EpochSeedHook
from mcdrl_mmseg.hooks.epoch_seed_hook import epoch_seed


class _Draws(Dataset):
    """Every item is an index and one draw from each generator."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return index, random.random(), np.random.rand(), float(torch.rand(()))


def _collate(batch):
    return batch


def _runner(seed=3, num_workers=0, persistent=False, sampler_seed=99):
    dataset = _Draws()
    loader = DataLoader(
        dataset,
        batch_size=2,
        sampler=DefaultSampler(dataset, seed=sampler_seed),
        num_workers=num_workers,
        persistent_workers=persistent,
        collate_fn=_collate,
    )
    return SimpleNamespace(
        seed=seed,
        epoch=0,
        iter=0,
        train_dataloader=loader,
        logger=logging.getLogger('test_epoch_seed_hook'),
    )


def _draw():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def _train(runner, epochs, from_epoch=0):
    """Draws and data of the epochs from ``from_epoch`` on, as a run would see them."""
    hook = EpochSeedHook()
    runner.epoch, runner.iter = from_epoch, 3 * from_epoch
    hook.before_train(runner)
    seen = []
    for epoch in range(from_epoch, epochs):
        runner.epoch, runner.iter = epoch, 3 * epoch
        hook.before_train_epoch(runner)
        runner.train_dataloader.sampler.set_epoch(epoch)
        seen.append((_draw(), list(runner.train_dataloader), _draw()))
    return seen


@pytest.mark.parametrize('num_workers', [0, 2])
def test_epochs_after_a_resume_equal_those_of_the_unbroken_run(num_workers):
    unbroken = _train(_runner(num_workers=num_workers), 3)
    torch.manual_seed(123)
    random.seed(5)
    np.random.seed(6)
    # A resumed process drew another seed for its sampler before it read the checkpoint.
    resumed = _runner(num_workers=num_workers, sampler_seed=7)
    assert _train(resumed, 3, from_epoch=1) == unbroken[1:]


@pytest.mark.parametrize('num_workers', [0, 2])
def test_epochs_differ_from_each_other(num_workers):
    first, second = _train(_runner(num_workers=num_workers), 2)
    assert first[0] != second[0]
    draws = {item[1:] for batch in first[1] for item in batch}
    again = {item[1:] for batch in second[1] for item in batch}
    assert len(draws) == len(again) == 6
    assert not draws & again


def test_workers_draw_differently_from_each_other_and_from_the_process():
    ((own, batches, _),) = _train(_runner(num_workers=2), 1)
    # Batches go to the workers by turns: these two are the first of each.
    assert batches[0][0][1:] != batches[1][0][1:]
    assert own not in [item[1:] for batch in batches for item in batch]


def test_other_seeds_give_other_epochs():
    assert _train(_runner(seed=3), 1) != _train(_runner(seed=4), 1)


def test_every_process_worker_and_epoch_has_a_seed_of_its_own():
    seeds = {
        epoch_seed(seed, epoch, iteration, rank, stream)
        for seed in (0, 1)
        for epoch in range(3)
        for iteration in (0, 10)
        for rank in range(4)
        for stream in range(3)
    }
    assert len(seeds) == 2 * 3 * 2 * 4 * 3
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_seed_is_the_same_on_every_machine():
    # Numbers fixed by NumPy's SeedSequence, whose streams are stable by contract.
    expected = int(np.random.SeedSequence((5, 2, 20, 1, 0)).generate_state(1)[0])
    assert epoch_seed(5, 2, 20, 1, 0) == expected


def test_order_of_the_images_follows_the_runs_seed():
    runner = _runner(seed=11, sampler_seed=2)
    EpochSeedHook().before_train(runner)
    assert runner.train_dataloader.sampler.seed == 11


def test_order_of_a_batch_samplers_images_follows_the_runs_seed():
    runner = _runner(seed=11)
    dataset = _Draws()
    inner = DefaultSampler(dataset, seed=2)
    batches = torch.utils.data.BatchSampler(inner, 2, drop_last=False)
    runner.train_dataloader = DataLoader(dataset, batch_sampler=batches)
    EpochSeedHook().before_train(runner)
    assert inner.seed == 11


def test_workers_own_initialisation_is_kept():
    called = []
    runner = _runner()
    runner.train_dataloader.worker_init_fn = partial(called.append)
    hook = EpochSeedHook()
    hook.before_train(runner)
    for _ in range(2):
        hook.before_train_epoch(runner)
        runner.train_dataloader.worker_init_fn(4)
    assert called == [4, 4]


def test_workers_that_outlive_an_epoch_are_warned_of(caplog):
    EpochSeedHook().before_train(_runner(num_workers=1, persistent=True))
    assert 'persistent_workers=True' in caplog.text
    caplog.clear()
    EpochSeedHook().before_train(_runner(num_workers=1))
    assert caplog.text == ''
