import random
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.model import BaseModel
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from mmengine.runner.loops import _InfiniteDataloaderIterator
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, Dataset

from mcdrl_mmseg.engine.hooks import EpochSeedHook
from mcdrl_mmseg.engine.hooks.epoch_seed_hook import _seed_all, epoch_seed


class Draws(Dataset):
    """Samples that are random numbers, like those of an augmentation."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        draws = random.random(), np.random.rand(), float(torch.rand(()))
        return torch.tensor([index, *draws])


class Composition:
    """Draws from its own generators, as a composition of albumentations 2 does."""

    def __init__(self):
        self.generator, self.python_generator = (
            np.random.default_rng(1),
            random.Random(1),
        )

    def set_random_state(self, random_generator, py_random):
        self.generator, self.python_generator = random_generator, py_random

    def draws(self):
        return self.generator.random(), self.python_generator.random()


class StepsOfTheirOwn(Draws):
    """Samples drawn by two ``Albu``, one of them within another step."""

    def __init__(self):
        first, second = (
            SimpleNamespace(transforms=[dict(type='HorizontalFlip')], aug=Composition())
            for _ in range(2)
        )
        choice = SimpleNamespace(transforms=[SimpleNamespace(transforms=[second])])
        self.steps = first.aug, second.aug
        mixing = SimpleNamespace(dataset=self)
        self.pipeline = SimpleNamespace(transforms=[first, choice, mixing])

    def __getitem__(self, index):
        draws = [value for step in self.steps for value in step.draws()]
        return torch.tensor([index, *draws], dtype=torch.float64)


@pytest.fixture(autouse=True)
def _keep_random_states():
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


def make_runner(seed=3, num_workers=0, persistent=False, data=None):
    data = data or Draws()
    loader = DataLoader(
        data,
        batch_size=2,
        sampler=DefaultSampler(data, shuffle=True, seed=99),
        num_workers=num_workers,
        persistent_workers=persistent,
    )
    return SimpleNamespace(
        seed=seed,
        epoch=0,
        iter=0,
        train_dataloader=loader,
        train_loop=MagicMock(spec=EpochBasedTrainLoop),
        logger=MagicMock(),
    )


def epochs(runner, wanted) -> list[torch.Tensor]:
    hook = EpochSeedHook()
    hook.before_train(runner)
    results = []
    for epoch in wanted:
        runner.epoch, runner.iter = epoch, 2 * epoch
        runner.train_dataloader.sampler.set_epoch(epoch)
        hook.before_train_epoch(runner)
        results.append(torch.cat(list(runner.train_dataloader)))
    return results


@pytest.mark.parametrize('num_workers', [0, 2])
def test_a_resumed_run_draws_the_same_numbers_as_an_uninterrupted_one(num_workers):
    unbroken = epochs(make_runner(num_workers=num_workers), [0, 1, 2])
    torch.rand(5)
    (resumed,) = epochs(make_runner(num_workers=num_workers), [2])
    assert torch.equal(resumed, unbroken[2])


@pytest.mark.parametrize('num_workers', [0, 2])
def test_epochs_and_seeds_draw_different_numbers(num_workers):
    first, second = epochs(make_runner(num_workers=num_workers), [0, 1])
    (other,) = epochs(make_runner(seed=4, num_workers=num_workers), [0])
    for one, two in ((first, second), (first, other)):
        assert set(one[:, 1:].flatten().tolist()).isdisjoint(
            two[:, 1:].flatten().tolist()
        )


def test_the_workers_of_an_epoch_draw_different_numbers():
    (drawn,) = epochs(make_runner(num_workers=2), [0])
    assert len(set(drawn[:, 1:].flatten().tolist())) == 12


@pytest.mark.parametrize('num_workers', [0, 2])
@pytest.mark.parametrize('wrapped', [False, True])
def test_steps_with_their_own_generators_are_seeded_like_the_others(
    num_workers, wrapped
):
    def runner():
        data = StepsOfTheirOwn()
        data = ConcatDataset([data]) if wrapped else data
        return make_runner(num_workers=num_workers, data=data)

    unbroken = epochs(runner(), [0, 1])
    (resumed,) = epochs(runner(), [1])
    assert torch.equal(resumed, unbroken[1])
    # Two epochs, four images, two steps and two generators: all numbers differ.
    assert len(set(torch.cat(unbroken)[:, 1:].flatten().tolist())) == 32


def iteration_passes(runner, iterator, count) -> list[torch.Tensor]:
    """The numbers that a loop of iterations draws in passes over the data."""
    runner.train_loop = MagicMock(spec=IterBasedTrainLoop, dataloader_iterator=iterator)
    hook = EpochSeedHook()
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    # A mock is a reference cycle, inside which torch waits 5 s for each data worker.
    runner.train_loop.dataloader_iterator = None
    batches = len(runner.train_dataloader)
    return [torch.cat([next(iterator) for _ in range(batches)]) for _ in range(count)]


@pytest.mark.parametrize('data', [Draws, StepsOfTheirOwn])
@pytest.mark.parametrize('num_workers', [0, 2])
def test_the_passes_of_a_loop_of_iterations_draw_different_numbers(
    data, num_workers, monkeypatch
):
    monkeypatch.setattr('mmengine.runner.loops.time.sleep', lambda seconds: None)
    runs = []
    for seed in (3, 3, 4):
        runner = make_runner(seed=seed, num_workers=num_workers, data=data())
        iterator = _InfiniteDataloaderIterator(runner.train_dataloader)
        runs.append(torch.cat(iteration_passes(runner, iterator, 3)))
    assert torch.equal(runs[0], runs[1])
    draws = runs[0][:, 1:].flatten().tolist()
    assert len(set(draws)) == len(draws)
    assert set(draws).isdisjoint(runs[2][:, 1:].flatten().tolist())


class EagerIterator:
    """As MMEngine 0.10.7 has it: the workers start before any hook is called."""

    def __init__(self, loader):
        self._iterator = iter(loader)

    def __next__(self):
        return next(self._iterator)


def test_workers_that_a_loop_has_already_started_are_seeded_too():
    runner = make_runner(num_workers=2, data=StepsOfTheirOwn())
    iterator = EagerIterator(runner.train_dataloader)
    (drawn,) = iteration_passes(runner, iterator, 1)
    # Four images, two steps and two generators: all numbers differ.
    assert len(set(drawn[:, 1:].flatten().tolist())) == 16


def test_the_flips_of_albumentations_are_independent_once_seeded():
    albumentations = pytest.importorskip('albumentations', minversion='1.4.21')
    flips = [albumentations.HorizontalFlip(p=0.5), albumentations.VerticalFlip(p=0.5)]
    data = SimpleNamespace(aug=albumentations.Compose(flips))
    _seed_all(5, data)
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    seen = {int(data.aug(image=image)['image'][0, 0, 0]) for _ in range(50)}
    assert seen == {0, 3, 6, 9}


def test_the_order_of_the_images_follows_the_seed_of_the_run():
    runner = make_runner(seed=3)
    EpochSeedHook().before_train(runner)
    assert runner.train_dataloader.sampler.seed == 3


def test_a_worker_init_fn_of_the_config_is_still_called():
    calls = []
    runner = make_runner(num_workers=0)
    runner.train_dataloader.worker_init_fn = calls.append
    hook = EpochSeedHook()
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    runner.train_dataloader.worker_init_fn(1)
    hook.before_train_epoch(runner)
    runner.train_dataloader.worker_init_fn(0)
    assert calls == [1, 0]


@pytest.mark.parametrize(('persistent', 'warned'), [(True, True), (False, False)])
def test_persistent_workers_give_a_warning(persistent, warned):
    runner = make_runner(num_workers=1, persistent=persistent)
    EpochSeedHook().before_train(runner)
    assert runner.logger.warning.called == warned


def test_seeds_differ_in_every_argument_and_fit_numpy():
    base = dict(seed=1, epoch=2, iteration=3, rank=0, stream=0)
    seeds = [epoch_seed(**base)]
    seeds += [epoch_seed(**{**base, key: base[key] + 7}) for key in base]
    assert len(set(seeds)) == 6
    assert all(0 <= seed < 2**32 for seed in seeds)


class DroppingModel(BaseModel):
    """Drops half of the pixels; its prediction is the number of batches seen."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(3, 1, 3))
        self.register_buffer('batches', torch.zeros((), dtype=torch.long))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if mode == 'predict':
            return [int(self.batches)] * len(inputs)
        self.batches += 1
        return dict(loss=self.layers(torch.stack(inputs)).square().mean())


@pytest.fixture
def trained(make_toy_runner, tmp_path):
    """Trains three epochs of two batches; returns the last checkpoint and the log.

    ``trained('name', counts)`` updates the weights after every so many batches;
    ``start`` names the checkpoint of another run to resume from.
    """

    def train(name: str, counts: int, start: str | None = None):
        resumed = {}
        if start is not None:
            resumed = dict(resume=True, load_from=str(tmp_path / start))
        runner = make_toy_runner(
            DroppingModel(),
            work_dir=str(tmp_path / name),
            custom_hooks=[dict(type='EpochSeedHook')],
            **resumed,
        )
        runner.optim_wrapper['accumulative_counts'] = counts
        runner.train()
        (log,) = (tmp_path / name).glob('*/*.log')
        path = tmp_path / name / 'epoch_3.pth'
        return torch.load(path, weights_only=False), log.read_text()

    return train


def weights(checkpoint) -> torch.Tensor:
    return torch.cat([value.flatten() for value in checkpoint['state_dict'].values()])


def moments(checkpoint) -> torch.Tensor:
    states = checkpoint['optimizer']['state'].values()
    return torch.cat([value.flatten() for s in states for value in s.values()])


@pytest.mark.parametrize('counts', [1, 2])
def test_a_resumed_run_with_accumulated_gradients_equals_an_uninterrupted_one(
    trained, counts
):
    unbroken, _ = trained('unbroken', counts)
    resumed, log = trained('resumed', counts, 'unbroken/epoch_1.pth')
    assert 'resumed epoch: 1, iter: 2' in log
    assert torch.equal(weights(resumed), weights(unbroken))
    assert torch.equal(moments(resumed), moments(unbroken))
    steps = {int(state['step']) for state in unbroken['optimizer']['state'].values()}
    assert steps == {6 // counts}


def test_gradients_left_over_at_the_end_of_an_epoch_are_lost_with_a_warning(trained):
    """Updates every three batches, epochs of two: checkpoints hold no gradients."""
    unbroken, _ = trained('unbroken', 3)
    resumed, log = trained('resumed', 3, 'unbroken/epoch_1.pth')
    assert 'the gradient of some iterations is lost' in log
    assert not torch.equal(weights(resumed), weights(unbroken))
