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

from .launch import Launch
from .plan import State
from .plan_engine import Failure, PlanEngine
from .prepared import PreparedRun
from .progress import Reporter
from .records import RECORDS_NAME, RunRecord, append_record, read_records
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


class SlurmEngine(PlanEngine):
    """Submits what is left of a plan, and gathers its records as they come.

    The command may be left at any time: the jobs go on, and the same command, or
    ``plan-collect``, gathers what they brought meanwhile.

    Args:
        runs: As for :class:`PlanEngine`, which says what the others mean.
        out: Folder of the plan, on a file system that all machines share.
        launch: How training and test are started within a job.
        parameters: What each job asks for, see
            :func:`~mcdrl_lab.plans.slurm_options.slurm_parameters`.

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
        # Jobs start in other folders.
        super().__init__(runs, Path(out).resolve(), jobs, keep_checkpoints, reporter)
        self.launch = launch
        self.parameters = parameters
        self._items = {str(item.run): item for item in self.runs}

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
            unfinished = [str(item.run) for item in self._unfinished()]
            known = SlurmJobs(self.out).read()
            alive = job_states(known.values())
            queued = {
                run: known[run]
                for run in unfinished
                if known.get(run) in alive and not self._has_ended(run)
            }
            for run in queued:
                self._check_submitted(run, known[run])
            new = {
                run: RunTask(self._items[run], self.out, self.launch)
                for run in unfinished
                if run not in queued
            }
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
        item = self._items[run]
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

    def _wait(self, jobs: Mapping[str, str]) -> list[Failure]:
        """Watch the folders until every run has left its record or lost its job."""
        left = dict(jobs)
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
                self._note_end(self._items[run].run, record.error, record.duration_s)
            for run in gone:
                if run in left:
                    error = (
                        f'its job {left.pop(run)} ended without a record: cancelled, '
                        f'or see {self.out / SUBMITIT_FOLDER}'
                    )
                    self._note_end(self._items[run].run, error, float('nan'))
            self._update_fractions(map(self._items.__getitem__, left))
            self.reporter.tick()
            if left:
                time.sleep(_POLL_S)
        return self.failures

    def _show(self, run: str, state: str, reason: str) -> None:
        planned = self._items[run].run
        progress = self.progress.runs[planned.key]
        if state in RUNNING and progress.state is State.WAITING:
            self.progress.start(planned.key, 0.0)
            self.reporter.event(planned, 'running')


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
    records = read_records(path)
    if [record.folder for record in records] != [run]:
        raise ProtocolError(
            f'{path} is not the record of {run}: remove it, and the command that began '
            'the plan carries the run out again.'
        )
    return records[0]
