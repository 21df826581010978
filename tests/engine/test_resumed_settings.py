from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from mcdrl_mmseg.engine.resumed_settings import (
    count_steps_by_epochs,
    tell_if_all_is_done,
)


@pytest.fixture
def resumed():
    """Makes a run of six epochs, resumed after four epochs of four steps each."""

    def make(length, iteration=16, kind=EpochBasedTrainLoop):
        loop = kind.__new__(kind)
        loop._epoch, loop._iter, loop._max_iters = 4, iteration, 6 * length
        weight = torch.nn.Parameter(torch.zeros(1))
        wrapper = OptimWrapper(torch.optim.SGD([weight], 0.1), accumulative_counts=2)
        wrapper.initialize_count_status(torch.nn.Linear(1, 1), iteration, 6 * length)
        return SimpleNamespace(
            train_loop=loop,
            train_dataloader=range(length),
            optim_wrapper=wrapper,
            model=torch.nn.Linear(1, 1),
            logger=MagicMock(),
        )

    return make


@pytest.mark.parametrize('length', [2, 8])
def test_with_another_batch_size_steps_are_counted_by_epochs(resumed, length):
    runner = resumed(length)
    count_steps_by_epochs(runner)
    assert runner.train_loop.iter == 4 * length
    (text,) = runner.logger.warning.call_args.args
    assert '16 steps in 4 epochs. ' in text
    assert f'these epochs have {4 * length} steps' in text
    # Gradients of two steps are accumulated, as MMEngine would in an unbroken run.
    loss = runner.optim_wrapper.scale_loss(torch.tensor(1.0))
    assert loss == 0.5


def test_without_that_count_larger_batches_would_lie_beyond_the_end_of_training(
    resumed,
):
    with pytest.raises(AssertionError, match='loss_factor'):
        resumed(2).optim_wrapper.scale_loss(torch.tensor(1.0))


@pytest.mark.parametrize('iteration', [16, 18, 20])
def test_with_the_same_batch_size_the_step_count_is_not_changed(resumed, iteration):
    runner = resumed(4, iteration)
    count_steps_by_epochs(runner)
    assert runner.train_loop.iter == iteration
    runner.logger.warning.assert_not_called()


def test_the_step_count_of_a_loop_of_iterations_is_not_changed(resumed):
    runner = resumed(2, kind=IterBasedTrainLoop)
    count_steps_by_epochs(runner)
    assert runner.train_loop.iter == 16


@pytest.mark.parametrize('kind', [EpochBasedTrainLoop, IterBasedTrainLoop])
def test_resuming_a_finished_run_is_logged(resumed, kind):
    unfinished, done = resumed(4, 23, kind), resumed(4, 24, kind)
    for runner in (unfinished, done):
        tell_if_all_is_done(runner)
    unfinished.logger.info.assert_not_called()
    (text,) = done.logger.info.call_args.args
    assert text.startswith('Nothing is left to train: 24 of 24 steps are done.')
