import copy
import json
import math
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper

from mcdrl_mmseg.engine.hooks import NonFiniteLossError, NonFiniteLossHook

BAD_STEP = 4


class StateHook(Hook):
    """Keeps weights, statistics and optimizer state after every step."""

    def __init__(self):
        self.states = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        state = copy.deepcopy(dict(runner.model.layers.state_dict()))
        moments = copy.deepcopy(runner.optim_wrapper.optimizer.state_dict()['state'])
        self.states[runner.iter + 1] = state, moments


@pytest.fixture
def poison():
    """Makes the loss of a toy model NaN or infinite in some steps."""

    def poison(model, value=math.nan, steps=(BAD_STEP,), through='loss'):
        forward = model.forward

        def bad(inputs, data_samples=None, mode='tensor'):
            if mode == 'loss' and int(model.steps) + 1 in steps:
                if through == 'image':
                    inputs = [image * value for image in inputs]
                    return forward(inputs, data_samples, mode)
                losses = forward(inputs, data_samples, mode)
                losses['loss_b'] = losses['loss_b'] * value
                return losses
            return forward(inputs, data_samples, mode)

        model.forward = bad
        return model

    return poison


@pytest.fixture
def toy(make_toy_runner, poison):
    """Trains a toy for three epochs of two steps with the hook; returns the runner."""

    def train(hook, states=None, **bad):
        runner = make_toy_runner(custom_hooks=[hook, states or StateHook()])
        poison(runner.model, **bad)
        runner.train()
        return runner

    return train


def assert_same(found, expected):
    for key, value in expected[0].items():
        assert torch.equal(found[0][key], value), key
    for index, state in expected[1].items():
        for key, value in state.items():
            assert torch.equal(found[1][index][key], value), key


@pytest.mark.reliability('fault', 'NaN or infinite loss: stop')
@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_an_error_with_step_and_images(
    toy, tmp_path, value
):
    with pytest.raises(NonFiniteLossError) as error:
        toy(NonFiniteLossHook(), value=value)
    message = str(error.value)
    assert f'Training step {BAD_STEP} (epoch 2)' in message
    assert f'loss_b is {value}' in message and f'loss is {value}' in message
    assert 'loss_a' not in message
    saved = tmp_path / 'run' / 'non_finite' / f'iter_{BAD_STEP}_rank0.pt'
    assert str(saved) in message
    batch = torch.load(saved, weights_only=True)
    assert batch['iter'] == BAD_STEP
    assert len(batch['inputs']) == len(batch['img_paths']) == 2
    for image, path in zip(batch['inputs'], batch['img_paths']):
        assert path in message
        index = int(Path(path).stem)
        generator = torch.Generator().manual_seed(index)
        assert torch.equal(image, torch.randn(3, 4, 4, generator=generator))
    assert math.isfinite(batch['losses']['loss_a'])
    assert not math.isfinite(batch['losses']['loss_b'])


def test_no_checkpoint_is_saved_after_a_loss_that_is_not_finite(
    toy, make_toy_runner, tmp_path
):
    with pytest.raises(NonFiniteLossError):
        toy(NonFiniteLossHook())
    names = {path.name for path in (tmp_path / 'run').glob('*.pth')}
    assert names == {'epoch_1.pth', 'best_score_epoch_1.pth'}


@pytest.mark.reliability('fault', 'NaN or infinite loss: leave the batch out')
@pytest.mark.parametrize('through', ['loss', 'image'])
def test_a_skipped_batch_changes_neither_weights_nor_optimizer(toy, tmp_path, through):
    states = StateHook()
    runner = toy(NonFiniteLossHook(action='skip'), states, through=through)
    assert runner.iter == 6
    # Weights, running statistics and the optimizer's moments.
    assert_same(states.states[BAD_STEP], states.states[BAD_STEP - 1])
    for value in runner.model.layers.state_dict().values():
        assert value.isfinite().all()
    last, before = states.states[6][0], states.states[BAD_STEP][0]
    assert not torch.equal(last['1.weight'], before['1.weight'])
    log = '\n'.join(path.read_text() for path in (tmp_path / 'run').rglob('*.log'))
    assert 'The batch is skipped.' in log


def test_with_finite_losses_the_hook_does_not_change_the_training(toy, make_toy_runner):
    with_hook, without = StateHook(), StateHook()
    toy(NonFiniteLossHook(action='skip'), with_hook, steps=())
    make_toy_runner(custom_hooks=[without]).train()
    for step in range(1, 7):
        assert_same(with_hook.states[step], without.states[step])


def test_a_gradient_that_is_not_finite_is_an_error_even_if_the_losses_are_finite(
    toy, tmp_path
):
    class Root(torch.autograd.Function):
        """A finite value with an infinite gradient, as sqrt has at 0."""

        @staticmethod
        def forward(ctx, value):
            return value.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * math.inf

    class Hooked(NonFiniteLossHook):
        def before_train(self, runner):
            super().before_train(runner)
            conv = runner.model.layers[1]
            conv.register_forward_hook(lambda module, inputs, out: Root.apply(out))

    with pytest.raises(NonFiniteLossError, match='the gradient is not') as error:
        toy(Hooked(), steps=())
    assert 'Training step 1 ' in str(error.value)


def test_many_bad_batches_in_a_row_stop_the_run(toy):
    hook = NonFiniteLossHook(action='skip', max_consecutive=3)
    with pytest.raises(NonFiniteLossError, match='3 steps in a row') as error:
        toy(hook, steps=(1, 3, 4, 5))
    assert 'Training step 5 ' in str(error.value)


@pytest.mark.parametrize('options', [dict(action='warn'), dict(max_consecutive=0)])
def test_invalid_options_are_refused_with_their_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        NonFiniteLossHook(**options)


def test_a_step_that_loss_scaling_skips_is_not_an_error(make_toy_runner):
    # As GradScaler does for a fused optimizer, whose kernel skips the step itself.
    hook = NonFiniteLossHook()
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.full((2,), math.inf)
    optimizer = torch.optim.SGD([weight], lr=1)
    optimizer.found_inf = torch.ones(())
    hook._drop_non_finite(optimizer, (), {})
    assert weight.grad is not None and not hook._dropped


def _train_on_rank(rank: int, folder: str, action: str) -> None:
    """Two steps of two processes; the first has a NaN on rank 1."""
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2
    )
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1)
    runner = SimpleNamespace(
        model=MMDistributedDataParallel(model, broadcast_buffers=False),
        optim_wrapper=OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1)),
        iter=0,
        epoch=0,
        work_dir=folder,
        logger=MagicMock(),
    )
    hook = NonFiniteLossHook(action=action)
    hook.before_train(runner)
    told = dict(weights=[model.weight.tolist()], error='')
    for runner.iter in (0, 1):
        hook.before_train_iter(runner, runner.iter)
        factor = math.nan if (runner.iter, rank) == (0, 1) else 1.0
        loss = runner.model(torch.ones(1, 2)).sum() * factor
        runner.optim_wrapper.update_params(loss)
        told['weights'].append(model.weight.tolist())
        try:
            hook.after_train_iter(runner, 0, {}, dict(loss=loss.detach()))
        except NonFiniteLossError as error:
            told['error'] = str(error)
            break
    told['warnings'] = str(runner.logger.warning.call_args_list)
    Path(folder, f'{rank}.json').write_text(json.dumps(told))


@pytest.mark.skipif(torch.cuda.is_available(), reason='forks after using torch')
@pytest.mark.reliability('fault', 'NaN loss on one of two ranks')
@pytest.mark.parametrize('action', ['stop', 'skip'])
def test_all_ranks_drop_the_update_if_the_loss_of_one_is_not_finite(tmp_path, action):
    torch.multiprocessing.start_processes(
        _train_on_rank, (str(tmp_path), action), nprocs=2, start_method='fork'
    )
    ranks = [json.loads((tmp_path / f'{rank}.json').read_text()) for rank in (0, 1)]
    for rank in ranks:
        told = rank['error' if action == 'stop' else 'warnings']
        assert 'rank 1: loss is nan' in told
        assert 'rank 0: the losses are finite, but the gradient is not' in told
        before, bad, *after = rank['weights']
        assert bad == before
        assert len(after) == (action == 'skip')
        assert all(weight != before for weight in after)
    assert ranks[0]['weights'] == ranks[1]['weights']
    assert (tmp_path / 'non_finite' / 'iter_1_rank1.pt').is_file()
