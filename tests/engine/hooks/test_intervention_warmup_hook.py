import pytest
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from mmseg.registry import HOOKS
from torch import nn

from mcdrl_mmseg.engine.hooks import InterventionWarmupHook
from mcdrl_mmseg.models import CausalIntervention


@pytest.fixture
def model() -> nn.Module:
    return nn.Sequential(CausalIntervention(8, 8, num_layers=1))


def gates(hook, runner, iterations) -> list[float]:
    """The gate at each step; the runner has 4 iterations per epoch."""
    hook.before_train(runner)
    values = []
    for iteration in iterations:
        runner.iter = iteration
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            runner.epoch = iteration // 4
        hook.before_train_iter(runner, batch_idx=iteration % 4)
        model = getattr(runner.model, 'module', runner.model)
        values.append(model[0].gate.item())
    return values


@pytest.mark.parametrize(
    ('begin', 'ramp', 'progress', 'gate'),
    [
        (10, 0, 0, 0.0),
        (10, 0, 9.999, 0.0),
        (10, 0, 10, 1.0),
        (10, 0, 50, 1.0),
        (0, 0, 0, 1.0),
        (10, 4, 10, 0.0),
        (10, 4, 11, 0.25),
        (10, 4, 14, 1.0),
        (10, 4, 15, 1.0),
        (0, 2, 0.5, 0.25),
    ],
)
def test_the_gate_is_closed_until_begin_and_then_opens(begin, ramp, progress, gate):
    assert InterventionWarmupHook(begin, ramp).gate_at(progress) == gate


def test_the_gate_opens_at_the_first_step_of_the_given_epoch(make_runner, model):
    values = gates(InterventionWarmupHook(begin=2), make_runner(model), range(10))
    assert values == [0.0] * 8 + [1.0] * 2


def test_the_ramp_rises_from_step_to_step(make_runner, model):
    hook = InterventionWarmupHook(begin=1, ramp=2)
    values = gates(hook, make_runner(model), range(13))
    assert values == [0] * 4 + [step / 8 for step in range(8)] + [1]


@pytest.mark.parametrize('loop', [EpochBasedTrainLoop, IterBasedTrainLoop])
def test_begin_can_count_iterations(make_runner, model, loop):
    hook = InterventionWarmupHook(begin=3, ramp=2, by_epoch=False)
    values = gates(hook, make_runner(model, loop=loop), range(6))
    assert values == [0, 0, 0, 0, 0.5, 1]


@pytest.mark.parametrize('loop', [EpochBasedTrainLoop, IterBasedTrainLoop])
def test_begin_can_be_a_share_of_any_schedule(make_runner, model, loop):
    runner = make_runner(model, loop=loop)
    runner.max_iters = 10
    hook = InterventionWarmupHook(begin=0.2, ramp=0.4, of_schedule=True)
    assert gates(hook, runner, range(8)) == [0, 0, 0, 0.25, 0.5, 0.75, 1, 1]


def test_shares_that_exceed_the_schedule_are_an_error():
    with pytest.raises(ValueError, match=r'begin=0\.8 and ramp=0\.3 are shares'):
        InterventionWarmupHook(begin=0.8, ramp=0.3, of_schedule=True)


def test_the_gate_of_a_checkpoint_is_overwritten_before_the_first_step(
    make_runner, model
):
    model[0].gate.fill_(1.0)
    InterventionWarmupHook(begin=2).before_train(make_runner(model))
    assert model[0].gate == 0


@pytest.mark.parametrize('iteration', [0, 4, 8, 12])
def test_a_resumed_run_has_the_gate_of_an_uninterrupted_one(
    make_runner, model, iteration
):
    hook = InterventionWarmupHook(begin=1, ramp=2)
    unbroken = gates(hook, make_runner(model), range(20))
    model[0].gate.fill_(0.123)
    resumed = make_runner(model, iteration=iteration)
    hook = InterventionWarmupHook(begin=1, ramp=2)
    hook.before_train(resumed)
    assert model[0].gate.item() == unbroken[iteration]
    assert gates(hook, resumed, range(iteration, 20)) == unbroken[iteration:]


@pytest.mark.parametrize('share', [False, True])
@pytest.mark.parametrize('steps', [2, 8])
def test_the_gate_opens_at_the_given_epoch_after_resuming_with_another_batch_size(
    make_runner, model, steps, share
):
    """Three epochs of 4 steps were trained; an epoch now has ``steps`` steps."""
    hook = InterventionWarmupHook(begin=0.4 if share else 4, of_schedule=share)
    runner = make_runner(model, iteration=12)
    runner.train_dataloader.__len__ = lambda self: steps
    runner.max_iters = 10 * steps
    hook.before_train(runner)
    opened = {}
    for epoch in (3, 4):
        runner.epoch = epoch
        for batch in range(steps):
            hook.before_train_iter(runner, batch_idx=batch)
            opened.setdefault(epoch, []).append(model[0].gate.item())
            runner.iter += 1
    assert opened == {3: [0.0] * steps, 4: [1.0] * steps}


def test_the_gate_is_logged(make_runner, model):
    runner = make_runner(model)
    gates(InterventionWarmupHook(begin=1), runner, range(5))
    logged = [call.args for call in runner.message_hub.update_scalar.call_args_list]
    assert logged == [('train/gate', gate) for gate in (0, 0, 0, 0, 0, 1)]


def test_the_gate_of_every_intervention_of_a_wrapped_model_is_set(make_runner, model):
    model.append(CausalIntervention(8, 8, num_layers=1))
    runner = make_runner(nn.DataParallel(model))
    assert gates(InterventionWarmupHook(begin=1), runner, [0, 3, 4]) == [0, 0, 1]
    assert model[1].gate == 1


def test_a_model_without_intervention_gives_a_warning(make_runner):
    runner = make_runner(nn.Sequential(nn.Linear(1, 1)))
    hook = InterventionWarmupHook(begin=1)
    hook.before_train(runner)
    hook.before_train_iter(runner, batch_idx=0)
    assert 'no CausalIntervention' in runner.logger.warning.call_args.args[0]
    runner.message_hub.update_scalar.assert_not_called()


def test_epochs_with_a_loop_of_iterations_are_an_error_that_says_what_to_set(
    make_runner, model
):
    runner = make_runner(model, loop=IterBasedTrainLoop)
    with pytest.raises(ValueError, match=r'EpochBasedTrainLoop.*by_epoch=False'):
        InterventionWarmupHook(begin=1).before_train(runner)


@pytest.mark.parametrize('arguments', [dict(begin=-1), dict(ramp=-0.5)])
def test_negative_times_are_an_error(arguments):
    with pytest.raises(ValueError, match='InterventionWarmupHook: begin='):
        InterventionWarmupHook(**arguments)


def test_the_default_is_epoch_10_of_the_paper():
    hook = HOOKS.build(dict(type='InterventionWarmupHook'))
    assert (hook.begin, hook.ramp, hook.by_epoch) == (10, 0, True)
