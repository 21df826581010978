"""Running a plan on Slurm: a job array, a task a run, collected from their folders."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mcdrl_common.atomic_write import write_text
from mcdrl_common.file_lock import FolderBusyError, folder_lock
from mcdrl_common.json_files import read_json
from mcdrl_lab.errors import ProtocolError

from .executor import Failure
from .folder_names import run_folder_of
from .launch import Launch
from .plan import PlanProgress, State
from .prepared import PreparedRun, check_groups, check_siblings
from .progress import Reporter
from .records import RECORDS_NAME, RunRecord, append_record, latest_records
from .records import read_records as read_run_records
from .run_folder import RunFolder
from .slurm_jobs import RUNNING, SlurmJobs, submit
from .slurm_queue import job_states
from .slurm_task import RECORD_NAME, RunTask

_POLL_S = 1.0
# Asking Slurm loads it for everybody; records in run folders tell most.
_ASK_S = 20.0
# A record that was taken into the plan's: the job that wrote it has done all it does.
COLLECTED_NAME = 'collected_record.json'
# What a run was submitted with: its job may wait for days, and holds it from then on.
SUBMITTED_NAME = 'submitted.json'
SUBMITIT_FOLDER = 'submitit'


class SlurmEngine:
    """Submits what is left of a plan, and gathers its records as they come.

    The command may be left at any time: the jobs go on, and the same command, or
    ``plan-collect``, gathers what they brought meanwhile.

    Args:
        runs: Prepared runs.
        out: Folder of the plan, on a file system that all machines share.
        launch: How training and test are started within a job.
        parameters: What each job asks for, see
            :func:`~mcdrl_lab.plans.slurm_options.slurm_parameters`.
        jobs: Runs at a time.
        keep_checkpoints: Keep what only resuming needs.
        reporter: Where progress is shown; by default standard output.

    Raises:
        ProtocolError: The launcher is Slurm's own.
    """

    def __init__(
        self,
        runs: Sequence[PreparedRun],
        out: str | os.PathLike,
        launch: Launch,
        parameters: Mapping[str, Any],
        *,
        jobs: int = 1,
        keep_checkpoints: bool = False,
        reporter: Reporter | None = None,
    ) -> None:
        if launch.launcher == 'slurm':
            raise ProtocolError(
                '--engine slurm starts a job a run; several processes in it are '
                'started by --launcher pytorch.'
            )
        self.runs = {str(item.run): item for item in runs}
        # Jobs start in other folders.
        self.out = Path(out).resolve()
        self.launch = launch
        self.parameters = parameters
        self.jobs = jobs
        self.keep_checkpoints = keep_checkpoints
        self.progress = PlanProgress([item.run for item in runs], jobs)
        self.reporter = reporter or Reporter(self.progress)
        self.reporter.progress = self.progress

    def execute(self) -> list[Failure]:
        """Submit what is neither done nor queued, and wait for all.

        Returns:
            The runs that failed.

        Raises:
            ProtocolError: Another command is planning in the same folder, a run was
                done with other settings, or Slurm does not take the runs.
        """
        try:
            waited_for = self._submit()
            return self._wait(waited_for)
        except KeyboardInterrupt:
            self.reporter.say(
                'Left; the jobs go on. The same command waits for them again, '
                f'python -m mcdrl_lab plan-status {self.out} says how they are.'
            )
            raise
        finally:
            self.reporter.close()

    def _submit(self) -> dict[str, str]:
        """Queue what has to be; returns run -> job of all that are not done."""
        with planning(self.out):
            collect(self.out, self.keep_checkpoints)
            unfinished = self._unfinished()
            known = SlurmJobs(self.out).read()
            alive = job_states(known.values())
            queued = {
                run: known[run]
                for run in unfinished
                if known.get(run) in alive and not self._has_ended(run)
            }
            for run in queued:
                self._check_submitted(run, known[run])
            new = {run: self._task(run) for run in unfinished if run not in queued}
            if new:
                for run, name in itertools.product(new, (RECORD_NAME, COLLECTED_NAME)):
                    (self.out / run / name).unlink(missing_ok=True)
                folder = self.out / SUBMITIT_FOLDER
                jobs = submit(new, self.parameters, folder, self.jobs)
                SlurmJobs(self.out).add(jobs)
                for run in new:
                    write_text(
                        self.out / run / SUBMITTED_NAME, json.dumps(self._known(run))
                    )
                queued |= jobs
        done = len(self.runs) - len(unfinished)
        self.reporter.say(
            f'{done} of {len(self.runs)} runs are finished, {len(queued) - len(new)} '
            f'queued already, {len(new)} submitted now.'
        )
        return queued

    def _known(self, run: str) -> dict[str, Any]:
        """What a run's result comes from."""
        item = self.runs[run]
        return {'settings hash': item.config_hash, **item.origin}

    def _check_submitted(self, run: str, job: str) -> None:
        """Refuse to wait for a run that was submitted with other settings or data."""
        try:
            submitted = read_json(self.out / run / SUBMITTED_NAME)
        except (FileNotFoundError, ValueError):
            # Submitted before it was noted, or damaged.
            return
        if not isinstance(submitted, dict):
            return
        # What was not noted then is not known.
        differing = [
            name
            for name, value in self._known(run).items()
            if submitted.get(name, value) != value
        ]
        if differing:
            raise ProtocolError(
                f'{run} waits in the queue as job {job} with another '
                f'{" and another ".join(differing)}: scancel {job} first, or choose '
                'another output folder.'
            )

    def _has_ended(self, run: str) -> bool:
        """Whether a run's job did all it does; Slurm lists it for a moment longer."""
        return (self.out / run / COLLECTED_NAME).is_file()

    def _task(self, run: str) -> RunTask:
        return RunTask(self.runs[run], self.out, self.launch)

    def _unfinished(self) -> list[str]:
        """Runs without a finished record, all checked before any is submitted."""
        records = {r.key: r for r in _latest(self.out)}
        unfinished = []
        for name, item in self.runs.items():
            record = records.get(item.run.key)
            if record is not None and record.status == 'done':
                item.check_record(record)
                self.progress.finish(item.run.key, State.DONE, record.duration_s)
            else:
                RunFolder(self.out / name).check(item.cfg, item.origin)
                unfinished.append(name)
        items = [self.runs[name] for name in unfinished]
        check_siblings(items, records.values())
        check_groups(items, records.values(), self.out)
        return unfinished

    def _wait(self, jobs: Mapping[str, str]) -> list[Failure]:
        """Watch the folders until every run has left its record or lost its job."""
        left = dict(jobs)
        failures: list[Failure] = []
        asked = 0.0
        while left:
            gone: list[str] = []
            if time.monotonic() - asked >= _ASK_S:
                states = job_states(left.values())
                asked = time.monotonic()
                gone = [run for run, job in left.items() if job not in states]
                for run, job in left.items():
                    self._show(run, *states.get(job, ('', '')))
            # After Slurm was asked: a job that ended meanwhile has left its record.
            with planning(self.out, wait_s=60):
                collect(self.out, self.keep_checkpoints)
            # Also what another command collected meanwhile; its runs are no concern.
            for run in [run for run in left if self._has_ended(run)]:
                del left[run]
                record = record_of(run, self.out / run / COLLECTED_NAME)
                self._end(run, record.error, record.duration_s, failures)
            for run in gone:
                if run in left:
                    error = (
                        f'its job {left.pop(run)} ended without a record: cancelled, '
                        f'or see {self.out / SUBMITIT_FOLDER}'
                    )
                    self._end(run, error, float('nan'), failures)
            self._update_fractions(left)
            self.reporter.tick()
            if left:
                time.sleep(_POLL_S)
        return failures

    def _show(self, run: str, state: str, reason: str) -> None:
        key = self.runs[run].run.key
        if state in RUNNING and self.progress.runs[key].state is State.WAITING:
            self.progress.start(key, 0.0)
            self.reporter.event(self.runs[run].run, 'running')

    def _update_fractions(self, left: Mapping[str, str]) -> None:
        for run in left:
            item = self.runs[run]
            progress = self.progress.runs[item.run.key]
            if progress.state is State.RUNNING:
                progress.fraction = RunFolder(self.out / run).training_fraction(
                    item.cfg, item.iters_per_epoch
                )

    def _end(
        self, run: str, error: str | None, seconds: float, failures: list[Failure]
    ) -> None:
        planned = self.runs[run].run
        state = State.FAILED if error else State.DONE
        self.progress.finish(planned.key, state, seconds)
        self.reporter.event(planned, f'FAILED: {error}' if error else 'done')
        if error:
            failures.append(Failure(planned, error))


@contextmanager
def planning(out: Path, wait_s: float = 0.0) -> Iterator[None]:
    """Hold a plan's folder while its list of runs is read and changed.

    Args:
        out: Folder of the plan.
        wait_s: Seconds to wait for another command.

    Raises:
        ProtocolError: Another command holds it.
    """
    with ExitStack() as held:
        try:
            held.enter_context(folder_lock(out, wait_s=wait_s))
        except FolderBusyError as busy:
            raise ProtocolError(f'{busy}: wait for it to end.') from None
        yield


def collect(out: Path, keep_checkpoints: bool = False) -> list[RunRecord]:
    """Take the records out of the run folders into the plan's.

    Args:
        out: Folder of the plan, which is held.
        keep_checkpoints: Keep what only resuming needs.

    Returns:
        The records that were new.

    Raises:
        ProtocolError: A record is damaged; names its file.
    """
    found = []
    for run in SlurmJobs(out).read():
        path = out / run / RECORD_NAME
        if not path.is_file():
            continue
        record = record_of(run, path)
        append_record(out / RECORDS_NAME, record)
        path.replace(path.with_name(COLLECTED_NAME))
        if record.status == 'done' and not keep_checkpoints:
            RunFolder(out / run).drop_resume_points()
        found.append(record)
    return found


def record_of(run: str, path: Path) -> RunRecord:
    """The record that a job left in its run's folder.

    Args:
        run: The run's folder, as in the list of jobs.
        path: File of the record.

    Raises:
        ProtocolError: It holds none, or another's.
    """
    records = read_run_records(path)
    if [run_folder_of(*record.key) for record in records] != [run]:
        raise ProtocolError(
            f'{path} is not the record of {run}: remove it, and the command that began '
            'the plan carries the run out again.'
        )
    return records[0]


def _latest(out: Path) -> list[RunRecord]:
    return latest_records(read_run_records(out / RECORDS_NAME))
