"""Settings that a resumed run takes from its checkpoint instead of its config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, Runner

# Key of a checkpoint -> what it holds.
_STATES = {'optimizer': 'the optimizer', 'param_schedulers': 'param_scheduler'}


def resuming_problem(runner: Runner, checkpoint: Mapping[str, Any]) -> str | None:
    """Why a training cannot go on from a checkpoint, or None.

    MMEngine saves a best checkpoint without optimizer and schedules, and any with
    ``save_optimizer=False`` or ``save_param_scheduler=False``. It would go on with the
    epoch of the checkpoint, but with the first learning rate and empty moments. Saved
    schedules are given to those of the config by position, whatever their number and
    types: without its warm-up, a PolyLR would get the warm-up's end and stop there.

    Args:
        runner: A runner that is about to be resumed.
        checkpoint: The checkpoint.

    Returns:
        What is missing or differs, and what to do.
    """
    named = runner._load_from or f'The last checkpoint in {runner.work_dir}'
    own = runner.param_schedulers or []
    needed = ['optimizer', *(['param_schedulers'] if own else [])]
    missing = [_STATES[key] for key in needed if key not in checkpoint]
    if missing:
        return (
            f'{named}: has no state of {" and no state of ".join(missing)}, so a '
            'training cannot be resumed from it: the learning rate would start anew. '
            'Best checkpoints have none. Resume from a checkpoint of an epoch or '
            'iteration (saved without save_optimizer=False and '
            'save_param_scheduler=False), or start a new training from these weights: '
            'load_from without --resume.'
        )
    saved = checkpoint.get('param_schedulers')
    if not isinstance(own, list) or not isinstance(saved, list):
        return None
    if len(own) != len(saved) or any(map(_is_other_type, own, saved)):
        types = [type(schedule).__name__ for schedule in own]
        return (
            f'{named}: its {len(saved)} schedules differ in number or type from those '
            f'of the config, param_scheduler={types}: their states would be mixed up. '
            'Resume with the config of the training, or start a new training with '
            'this one: load_from without --resume.'
        )
    return None


def _is_other_type(schedule: Any, saved: Mapping[str, Any]) -> bool:
    """Whether a saved state is of another type of schedule.

    Other versions of MMEngine may save more values, or fewer: not both.
    """
    if not hasattr(schedule, 'state_dict'):
        return False  # a test, which builds no schedules
    own = schedule.state_dict()
    return bool(own.keys() - saved.keys()) and bool(saved.keys() - own.keys())


def training_settings(runner: Runner) -> dict[str, Any]:
    """Settings of the optimizer and the schedulers, which a checkpoint replaces.

    Args:
        runner: Its optimizer and schedulers are built.

    Returns:
        Names such as ``lr`` or ``PolyLR.power``, each with the distinct values of all
        parameter groups, or of all schedulers of that type. Learning rates are those at
        the start of the schedule. Empty for several optimizers.
    """
    settings: dict[str, Any] = {}
    if not isinstance(runner.optim_wrapper, OptimWrapper):
        return settings
    for group in runner.optim_wrapper.param_groups:
        for name in group:
            if name != 'params' and not name.startswith('initial_'):
                # A scheduler changes the value and stores the initial one.
                value = group.get(f'initial_{name}', group[name])
                _add(settings, name, value)
    schedulers = runner.param_schedulers
    for scheduler in schedulers if isinstance(schedulers, list) else []:
        for name, value in scheduler.state_dict().items():
            # Names with _ and last_step are the scheduler's progress; base_values are
            # the optimizer's.
            if not name.startswith('_') and name not in ('last_step', 'base_values'):
                _add(settings, f'{type(scheduler).__name__}.{name}', value)
    return settings


def _add(settings: dict[str, list], name: str, value: Any) -> None:
    values = settings.setdefault(name, [])
    if value not in values:
        values.append(value)


def warn_of_replaced_settings(runner: Runner, asked: dict[str, Any]) -> None:
    """Log which settings of the config a resumed run does not use.

    MMEngine loads optimizer and schedulers from the checkpoint, whatever the config and
    the command line say, and prints the config as if it were used.

    Args:
        runner: A resumed runner.
        asked: ``training_settings`` before it was resumed.
    """
    used = training_settings(runner)
    replaced = [
        f'{name}={_text(used[name])} (config: {_text(asked[name])})'
        for name in asked
        if name in used and used[name] != asked[name]
    ]
    if replaced:
        runner.logger.warning(
            'The resumed run uses settings of its checkpoint that differ from the '
            f'config: {"; ".join(replaced)}. To train with the settings of the '
            'config, start a run in another work folder, with load_from set to the '
            'checkpoint and without --resume.'
        )


def count_steps_by_epochs(runner: Runner) -> None:
    """Correct the step count of a run that is resumed with another batch size.

    MMEngine continues with the number of steps in the checkpoint. With larger batches
    it may exceed the steps of the whole training, and gradient accumulation
    (``accumulative_counts``) then fails with an unclear error. With smaller batches
    everything that counts steps comes too late.

    Args:
        runner: A resumed runner.
    """
    loop, length = runner.train_loop, len(runner.train_dataloader)
    if not isinstance(loop, EpochBasedTrainLoop):
        return
    begin = loop.epoch * length
    # The checkpoint may be from the middle of an epoch.
    if begin <= loop.iter <= begin + length:
        return
    runner.logger.warning(
        f'The checkpoint counts {loop.iter} steps in {loop.epoch} epochs. With the '
        f'present batches these epochs have {begin} steps, so the run goes on from '
        f'step {begin}. Schedules keep the step count of the checkpoint.'
    )
    loop._iter = begin
    wrapper = runner.optim_wrapper
    if isinstance(wrapper, OptimWrapper):
        wrapper.initialize_count_status(runner.model, begin, loop.max_iters)


def tell_if_all_is_done(runner: Runner) -> None:
    """Log that a resumed run is already complete; MMEngine ends it silently.

    Args:
        runner: A resumed runner.
    """
    loop = runner.train_loop
    if loop.iter >= loop.max_iters:
        runner.logger.info(
            f'Nothing is left to train: {loop.iter} of {loop.max_iters} steps are '
            'done. To train longer, start a run in another work folder, with load_from '
            'set to the checkpoint.'
        )


def _text(values: list) -> str:
    return ', '.join(map(str, values))
