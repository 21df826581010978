"""Runs a plan on this machine: one process per run, resumable, several at a time."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path

from mcdrl_common.file_lock import FolderBusyError, folder_lock
from mcdrl_lab.errors import ProtocolError

from .child_process import ChildProcess
from .launch import Launch
from .one_run import RunFailed, carry_out, check_exit_code, failed_record
from .plan import PlannedRun
from .plan_engine import Failure, PlanEngine
from .prepared import PreparedRun
from .progress import Reporter
from .records import RunRecord, append_record
from .run_folder import RunFolder

_POLL_S = 0.5
_HOUR_S = 3600.0

# Steps of a run. Each yields the child process to wait for, or None to poll again.
_Steps = Generator[ChildProcess | None, None, RunRecord]


@dataclass
class _ActiveRun:
    """A run in progress.

    Args:
        item: The run.
        device: CUDA device assigned to it; None for any.
        steps: The remaining steps.
        child: Its current child process, if any.
    """

    item: PreparedRun
    device: str | None
    steps: _Steps
    child: ChildProcess | None = None

    @property
    def waits(self) -> bool:
        """Whether its child process is still running."""
        return self.child is not None and self.child.exitcode is None


class PlanExecutor(PlanEngine):
    """Runs or resumes every run of a plan and records the results.

    Finished runs are skipped, interrupted ones resume, failed ones are tried again. A
    failure does not stop the other runs.

    Args:
        runs: As for :class:`PlanEngine`, which also documents the other arguments.
        out: Folder of the plan.
        launch: How training and test are started; by default in one process.
        devices: CUDA devices to distribute over the jobs, as for
            ``CUDA_VISIBLE_DEVICES``; empty leaves the environment as it is.
        max_hours: Time limit of a training, of a test, and of a run's wait for a
            process of an earlier command; None sets no limit.
        meanwhile: Called once, when a job first has no run left to start, to prepare
            what the command does afterwards.

    Raises:
        ProtocolError: ``jobs`` or ``max_hours`` is out of range.
    """

    def __init__(
        self,
        runs: Sequence[PreparedRun],
        out: str | os.PathLike,
        launch: Launch | None = None,
        *,
        jobs: int = 1,
        devices: Sequence[str] = (),
        keep_checkpoints: bool = False,
        max_hours: float | None = None,
        reporter: Reporter | None = None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        if jobs < 1:
            raise ProtocolError(f'--jobs {jobs}: expected 1 or more.')
        if max_hours is not None and not max_hours > 0:
            raise ProtocolError(f'--max-hours {max_hours:g} must be above 0.')
        super().__init__(runs, Path(out), jobs, keep_checkpoints, reporter)
        self.max_hours = max_hours
        self.launch = launch or Launch()
        self.devices: list[str | None] = [*devices] or [None]
        self.meanwhile = meanwhile

    def execute(self) -> list[Failure]:
        """Carry out the unfinished runs of the plan.

        Returns:
            The runs that failed.

        Raises:
            ProtocolError: Another command works in the same folder, or a run was done
                or begun with other settings or data.
            KeyboardInterrupt: The command was stopped; its processes were ended.
        """
        try:
            with folder_lock(self.out):
                return self._execute(self._left_to_do())
        except FolderBusyError as busy:
            raise ProtocolError(
                f'{busy}: wait for it to end, or choose another output folder.'
            ) from None
        finally:
            self.reporter.close()

    def _left_to_do(self) -> list[PreparedRun]:
        unfinished = self._unfinished()
        finished = len(self.runs) - len(unfinished)
        if finished:
            self.reporter.say(
                f'{finished} of {len(self.runs)} runs are already finished and are '
                'skipped.'
            )
        return unfinished

    def _execute(self, items: list[PreparedRun]) -> list[Failure]:
        """Keep ``jobs`` runs active; if this command is stopped, end them all."""
        waiting = deque(items)
        free = deque(self.devices[n % len(self.devices)] for n in range(self.jobs))
        active: list[_ActiveRun] = []
        all_busy = True
        try:
            while waiting or active:
                while waiting and free:
                    item, device = waiting.popleft(), free.popleft()
                    steps = self._carry_out(item, device)
                    active.append(_ActiveRun(item, device, steps))
                for run in [run for run in active if self.max_hours or not run.waits]:
                    outcome = self._advance(run)
                    if outcome is None:
                        continue
                    active.remove(run)
                    free.append(run.device)
                    self._record(run.item, outcome)
                if all_busy and active and free and not waiting:
                    all_busy = False
                    self.meanwhile()
                self._update_fractions(run.item for run in active)
                self.reporter.tick()
                if active and not (waiting and free):
                    _wait_for_any(active)
        finally:
            # First signal all, then wait for each: some take a while to end.
            for run in active:
                if run.waits and run.child is not None:
                    run.child.interrupt()
            for run in active:
                run.steps.close()
        return self.failures

    def _advance(self, run: _ActiveRun) -> RunRecord | None:
        """Continue a run until it has to wait again.

        Returns:
            Its record if it has ended, done or failed; else None.
        """
        try:
            run.child = next(run.steps)
            return None
        except StopIteration as end:
            return end.value
        except Exception as caught:
            # No error of one run may stop the others.
            return failed_record(run.item, self._folder(run.item), caught)

    def _record(self, item: PreparedRun, record: RunRecord) -> None:
        """Append the run's record and report its end. Only this writes records."""
        append_record(self.records_path, record)
        if record.error is None and not self.keep_checkpoints:
            self._folder(item).drop_resume_points()
        self._note_end(item.run, record.error, record.duration_s)

    def _carry_out(self, item: PreparedRun, device: str | None) -> _Steps:
        """Train and test one run, or resume it where it was interrupted."""
        folder = self._folder(item)
        yield from self._wait_until_free(item.run, folder)

        def started(fraction: float) -> None:
            self.progress.start(item.run.key, fraction)

        return (
            yield from carry_out(
                item,
                folder,
                partial(self._run_stage, folder=folder, device=device),
                started=started,
                event=partial(self.reporter.event, item.run),
            )
        )

    def _wait_until_free(
        self, run: PlannedRun, folder: RunFolder
    ) -> Generator[None, None, None]:
        """Wait for processes of a killed earlier command that still run."""
        reported = False
        begin = time.monotonic()
        while True:
            try:
                with folder_lock(folder.path):
                    return
            except FolderBusyError as busy:
                if self._is_late(begin):
                    raise RunFailed(
                        f'{busy}, for more than --max-hours {self.max_hours:g}: end '
                        'this process, or find out why it hangs'
                    ) from None
                if not reported:
                    self.reporter.event(
                        run, f'waiting for {busy.holder}, which still works on it'
                    )
                reported = True
            yield None

    def _run_stage(
        self, stage: str, arguments: list[str], *, folder: RunFolder, device: str | None
    ) -> Generator[ChildProcess, None, None]:
        """Run training or test in a child process, which locks the run's folder."""
        function, arguments = self.launch.call(stage, arguments)
        start = time.monotonic()
        with folder.attempt(stage) as log:
            begin = log.stat().st_size if log.exists() else 0
            with ChildProcess(
                function,
                arguments,
                environment=run_environment(self.jobs, device),
                log=log,
                lock=folder.path,
                preload=self.launch.preload,
            ) as child:
                while child.exitcode is None and not self._is_late(start):
                    yield child
                late = child.exitcode is None
        if late:
            raise RunFailed(
                f'the {stage} stage took more than --max-hours {self.max_hours:g} and '
                f'was ended; run the same command again to resume it (see {log})'
            )
        check_exit_code(child.exitcode, log, begin)

    def _is_late(self, begin: float) -> bool:
        """Whether more than ``max_hours`` have passed since ``begin``."""
        if self.max_hours is None:
            return False
        return time.monotonic() - begin > self.max_hours * _HOUR_S


def run_environment(jobs: int, device: str | None = None) -> dict[str, str]:
    """Environment variables of a run.

    Args:
        jobs: Number of runs at a time.
        device: Its CUDA device; None keeps ``CUDA_VISIBLE_DEVICES``.
    """
    environment = dict(os.environ)
    if jobs > 1:
        # Otherwise every job uses all cores, which slows down all of them.
        threads = max(1, (os.cpu_count() or 1) // jobs)
        environment.setdefault('OMP_NUM_THREADS', str(threads))
    if device is not None:
        environment['CUDA_VISIBLE_DEVICES'] = device
    return environment


def _wait_for_any(active: list[_ActiveRun]) -> None:
    """Wait until a child ends, but at most :data:`_POLL_S` seconds."""
    sentinels = [run.child.sentinel for run in active if run.child is not None]
    if sentinels:
        wait(sentinels, _POLL_S)
    else:
        time.sleep(_POLL_S)
