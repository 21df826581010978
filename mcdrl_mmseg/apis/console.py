"""Console output of a training: a short summary, then the progress.

Environment, whole config and order of hooks only go into the log file: on a terminal
they would fill several screens.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from mcdrl_mmseg.engine.runner import MCDRLRunner

from .config import ConfigFileError

_FILE_ALONE = (
    '\n' + '-' * 60 + '\nSystem environment:',
    'Config:\n',
    'Hooks will be executed in the following order',
    'paramwise_options -- ',
    # Logged in every training with one process, even without such layers.
    'Distributed training is not used, all SyncBatchNorm',
    # Deprecated names that MMEngine uses itself.
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
)
# MMEngine logs one line for every frozen weight.
_FILE_ALONE_ENDS = ('is skipped since its requires_grad=False',)
_SCORE = 'mDice_fg'


class _ToolMixin:
    """Mix-in for runners of the tools.

    Long dumps go to the log file alone. A resumed run writes its config once it starts:
    if a checkpoint or a hook refuses it, the earlier config stays in the work folder.
    """

    def dump_config(self) -> None:
        """Write the config into the work folder, or let a hook do so later."""
        write = super().dump_config  # type: ignore[misc]
        if self._resume:  # type: ignore[attr-defined]
            self.register_hook(_StartHook(write))  # type: ignore[attr-defined]
        else:
            write()

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build the logger, and shorten its console output."""
        logger = super().build_logger(*args, **kwargs)  # type: ignore[misc]
        for handler in _console_handlers(logger):
            handler.addFilter(_is_for_console)
        return logger


class _StartHook(Hook):
    """Calls a function when a training starts, after the checks of all other hooks."""

    priority = 'LOWEST'

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call

    def before_train(self, runner: Runner) -> None:
        """Call the function."""
        self._call()


class ToolRunner(_ToolMixin, Runner):
    """MMEngine's runner, as the tools use it."""

    @classmethod
    def from_cfg(cls, cfg: Config) -> Runner:
        """Build the runner.

        Args:
            cfg: The config to run.

        Raises:
            ConfigFileError: The config has no model.
        """
        if cfg.get('model') is None:
            raise ConfigFileError(
                f'{cfg.filename} has no model: expected a complete config. Files in '
                'configs/_base_ are only parts of configs. Run a plan with python -m '
                'mcdrl_lab ablation.'
            )
        return super().from_cfg(cfg)


class ToolMCDRLRunner(_ToolMixin, MCDRLRunner):
    """The runner that inserts MCDRL, as the tools use it."""


def _is_for_console(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    return not (text.startswith(_FILE_ALONE) or text.endswith(_FILE_ALONE_ENDS))


def _console_handlers(logger: logging.Logger) -> list[logging.StreamHandler]:
    return [h for h in logger.handlers if type(h) is logging.StreamHandler]


def print_training_start(cfg: Config) -> None:
    """Print three lines about the training that starts.

    Args:
        cfg: The config to run.
    """
    if not is_main_process():
        return
    train = cfg.get('train_cfg') or {}
    unit = 'epochs' if 'max_epochs' in train else 'iterations'
    length = train.get('max_epochs', train.get('max_iters'))
    held_out = f', {cfg.held_out_site} held out' if cfg.get('held_out_site') else ''
    batch = (cfg.get('train_dataloader') or {}).get('batch_size')
    name = Path(cfg.filename).name if cfg.filename else 'a config'
    print(f'Training {name}: {length} {unit}, batches of {batch}{held_out}.')
    print(f'Checkpoints and logs: {cfg.work_dir}')
    print('Environment, whole config and hooks: the .log file there.', flush=True)


@contextmanager
def progress_bar(runner: Runner, console: Console | None = None) -> Iterator[None]:
    """Context that shows a progress bar for a training, on a terminal only.

    Args:
        runner: The runner that will train.
        console: Console of the bar; by default this process's terminal. In a pipe
            nothing is shown.
    """
    console = console or Console(file=sys.stdout)
    if not (console.is_terminal and is_main_process()):
        yield
        return
    progress = Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn('{task.fields[scores]}'),
        TimeElapsedColumn(),
        TextColumn('left'),
        TimeRemainingColumn(),
        console=console,
    )
    runner.register_hook(_ProgressHook(progress), priority='VERY_LOW')
    with progress:
        handlers = _console_handlers(runner.logger)
        # Log lines appear above the bar: while it is shown, sys.stdout is rich's.
        before = [handler.setStream(sys.stdout) for handler in handlers]
        try:
            yield
        finally:
            for handler, stream in zip(handlers, before):
                if stream is not None:
                    handler.setStream(stream)


class _ProgressHook(Hook):
    """Updates the progress bar."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._scores: dict[str, str] = {}

    def before_train(self, runner: Runner) -> None:
        """Show the bar at the start of a training or a resumed one."""
        self._task = self._progress.add_task(
            'training', total=runner.max_iters, completed=runner.iter, scores=''
        )

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Advance the bar, and show the loss of the step."""
        loss = (outputs or {}).get('loss')
        if loss is not None and float(loss) == float(loss):
            self._scores['loss'] = f'{float(loss):.3f}'
        self._show(runner.iter + 1)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Add the score of the validation."""
        for name, value in (metrics or {}).items():
            if name.rpartition('/')[2] == _SCORE:
                self._scores['Dice'] = f'{100 * float(value):.1f} %'
        self._show(runner.iter)

    def _show(self, done: int) -> None:
        scores = ', '.join(f'{name} {value}' for name, value in self._scores.items())
        self._progress.update(self._task, completed=done, scores=scores)
