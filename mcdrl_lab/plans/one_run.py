"""Carries out one run: trains, tests and records it, or resumes it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

from mcdrl_common.image_records import read_records as read_image_records
from mcdrl_lab.errors import ProtocolError

from .prepared import PreparedRun
from .records import RunRecord
from .run_folder import RunFolder, failure_reason

Wait = TypeVar('Wait')
Stage = Callable[[str, list[str]], Generator[Wait, None, None]]


class RunFailed(Exception):
    """One run failed; the plan continues."""


def carry_out(
    item: PreparedRun,
    folder: RunFolder,
    stage: Stage[Wait],
    *,
    started: Callable[[float], object] = lambda _: None,
    event: Callable[[str], object] = lambda _: None,
) -> Generator[Wait, None, RunRecord]:
    """Train and test one run, or resume it where it was interrupted.

    Args:
        item: The run.
        folder: Its folder, in which nothing else may work.
        stage: Runs ``'train'`` or ``'test'`` with the given arguments, and yields what
            the caller has to wait for.
        started: Called with the share of the training that is done already.
        event: Called with a short description of each event.

    Yields:
        The values that the stage yields.

    Returns:
        The record of the finished run.

    Raises:
        RunFailed: A stage failed, or wrote no results.
        ProtocolError: The folder belongs to other settings, the data changed since the
            plan was made, or no checkpoint was chosen.
    """
    for damage in folder.set_aside_if_damaged():
        event(damage)
    folder.prepare(item.cfg, item.origin)
    config, work_dir = str(folder.config_path), ['--work-dir', str(folder.path)]
    if not folder.state.get('checkpoint'):
        item.check_data()
        resume = folder.has_checkpoint()
        started(folder.training_fraction(item.cfg, item.iters_per_epoch))
        event('resumed' if resume else 'started')
        # Also --resume if a kill left only a best checkpoint: the training then starts
        # from the beginning.
        again = resume or any(folder.path.glob('best_*.pth'))
        arguments = [config, *work_dir, *(['--resume'] if again else [])]
        yield from stage('train', arguments)
        folder.update(checkpoint=folder.best_checkpoint().name)
    else:
        started(1.0)
    if not folder.state.get('tested'):
        item.check_data()
        event(f'trained, now testing {item.run.held_out}')
        checkpoint = str(folder.path / folder.state['checkpoint'])
        folder.records_path.unlink(missing_ok=True)
        yield from stage('test', [config, checkpoint, *work_dir])
        if not folder.records_path.is_file():
            raise RunFailed(
                f'the test wrote no {folder.records_path}; see '
                f'{folder.path / "test.log"}'
            )
        folder.update(tested=True)
    content = read_image_records(folder.records_path)
    return item.record(
        metrics={
            name: float('nan') if value is None else value
            for name, value in content['metrics'].items()
        },
        images=content['images'],
        sites=content.get('sites', {}),
        duration_s=folder.duration_s,
    )


def failed_record(item: PreparedRun, folder: RunFolder, caught: Exception) -> RunRecord:
    """The record of a run that failed.

    Args:
        item: The run.
        folder: Its folder.
        caught: The exception that ended it.
    """
    error = ' '.join(str(caught).split())
    if not isinstance(caught, (RunFailed, ProtocolError)):
        error = f'{type(caught).__name__}: {error}'
    return item.record(status='failed', error=error, duration_s=folder.duration_s)


def check_exit_code(code: int | None, log: Path, begin: int) -> None:
    """Raise an error if a stage's program failed.

    Args:
        code: Its exit code, negative for a signal.
        log: Its log file.
        begin: Size of the log in bytes before the program started.

    Raises:
        RunFailed: The program failed; the message quotes the log's last error, if any.
    """
    if not code:
        return
    if code < 0:
        reason = f'ended by signal {-code} ({signal.Signals(-code).name})'
    else:
        text = log.read_bytes()[begin:].decode('utf-8', 'replace')
        reason = failure_reason(text) or f'exit code {code}'
    raise RunFailed(f'{reason} (see {log})')
