"""What a resumed run takes from its checkpoint instead of its config."""

from __future__ import annotations

from typing import Any

from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, Runner


def training_settings(runner: Runner) -> dict[str, Any]:
    """Settings of the optimizer and the schedulers, which a checkpoint replaces.

    Args:
        runner: Its optimizer and schedulers are built.

    Returns:
        Names such as ``lr`` or ``PolyLR.power``, each with its values: one for every
        distinct value of the parameter groups, or of the schedulers of that type.
        Rates are those that the schedule starts from. Empty for several optimizers.
    """
    settings: dict[str, Any] = {}
    if not isinstance(runner.optim_wrapper, OptimWrapper):
        return settings
    for group in runner.optim_wrapper.param_groups:
        for name in group:
            if name != 'params' and not name.startswith('initial_'):
                # A scheduler changes the rate; where it began is kept beside it.
                value = group.get(f'initial_{name}', group[name])
                _add(settings, name, value)
    schedulers = runner.param_schedulers
    for scheduler in schedulers if isinstance(schedulers, list) else []:
        for name, value in scheduler.state_dict().items():
            # What begins with _ and the last step are how far it has come; the base
            # values are the optimizer's.
            if not name.startswith('_') and name not in ('last_step', 'base_values'):
                _add(settings, f'{type(scheduler).__name__}.{name}', value)
    return settings


def _add(settings: dict[str, list], name: str, value: Any) -> None:
    values = settings.setdefault(name, [])
    if value not in values:
        values.append(value)


def warn_of_replaced_settings(runner: Runner, asked: dict[str, Any]) -> None:
    """Say which settings of the config a resumed run does not use.

    MMEngine loads optimizer and schedulers from the checkpoint, whatever the config and
    the command say, and prints the config as if it were used.

    Args:
        runner: It has been resumed.
        asked: ``training_settings`` before that.
    """
    used = training_settings(runner)
    replaced = [
        f'{name} {_text(used[name])} and not {_text(asked[name])}'
        for name in asked
        if name in used and used[name] != asked[name]
    ]
    if replaced:
        runner.logger.warning(
            'The resumed run goes on with the settings of its checkpoint, not with '
            f'those of the config: {"; ".join(replaced)}. To train with those of the '
            'config, begin a run in another work folder with load_from set to the '
            'checkpoint, and without --resume.'
        )


def count_steps_by_epochs(runner: Runner) -> None:
    """Let a run that is resumed with another batch size count its steps as it would.

    MMEngine goes on from the number of steps that were done. With larger batches it may
    lie behind the end of the training, where accumulated gradients
    (``accumulative_counts``) end in an error that does not say so; with smaller ones
    what counts steps comes too late.

    Args:
        runner: It has been resumed.
    """
    loop, length = runner.train_loop, len(runner.train_dataloader)
    if not isinstance(loop, EpochBasedTrainLoop):
        return
    begin = loop.epoch * length
    # A checkpoint may have been written within an epoch.
    if begin <= loop.iter <= begin + length:
        return
    runner.logger.warning(
        f'The resumed run has done {loop.iter} steps in {loop.epoch} epochs, which are '
        f'{begin} steps of its batches now: it goes on from step {begin}. Schedules go '
        'on in the steps of the checkpoint.'
    )
    loop._iter = begin
    wrapper = runner.optim_wrapper
    if isinstance(wrapper, OptimWrapper):
        wrapper.initialize_count_status(runner.model, begin, loop.max_iters)


def tell_if_all_is_done(runner: Runner) -> None:
    """Say that a resumed run has nothing left to train, which MMEngine ends in silence.

    Args:
        runner: It has been resumed.
    """
    loop = runner.train_loop
    if loop.iter >= loop.max_iters:
        runner.logger.info(
            f'Nothing is left to train: {loop.iter} of {loop.max_iters} steps are '
            'done. To train longer, begin a run in another work folder with load_from '
            'set to the checkpoint.'
        )


def _text(values: list) -> str:
    return ', '.join(map(str, values))
