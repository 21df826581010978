"""Runs a plan on Slurm: a job array with one task per run.

The records are collected from the runs' folders.
"""

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
# Seconds between queries of Slurm, which load it for all users. The records in the run
# folders, read every _POLL_S, tell most.
_ASK_S = 20.0
# A run's record is renamed to this when it is added to the plan's records. The run's
# job has then done all its work.
COLLECTED_NAME = 'collected_record.json'
# Settings and data that a run was submitted with. Its job may start days later and
# still uses these.
SUBMITTED_NAME = 'submitted.json'
SUBMITIT_FOLDER = 'submitit'


class SlurmEngine(PlanEngine):
    """Submits the unfinished runs of a plan, and collects their records.

    The command may be stopped at any time. The jobs continue, and the same command, or
    ``plan-collect``, collects their records later.

    Args:
        runs: As for :class:`PlanEngine`, which also documents the other arguments.
        out: Folder of the plan, on a file system that all machines share.
        launch: How training and test are started within a job.
        parameters: Resources of each job, see
            :func:`~mcdrl_lab.plans.slurm_options.slurm_parameters`.

    Raises:
        ProtocolError: The launcher is ``'slurm'``.
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
                '--engine slurm starts one job per run, without --launcher slurm. For '
                'several processes in a job, use --launcher pytorch.'
            )
        # An absolute path: jobs start in other folders.
        super().__init__(runs, Path(out).resolve(), jobs, keep_checkpoints, reporter)
        self.launch = launch
        self.parameters = parameters
        self._items = {str(item.run): item for item in self.runs}

    def execute(self) -> list[Failure]:
        """Submit the runs that are neither done nor queued, and wait for all.

        Returns:
            The runs that failed.

        Raises:
            ProtocolError: Another command is submitting or collecting in the same
                folder, a run was done with other settings or data, or Slurm does not
                accept the jobs.
        """
        try:
            waited_for = self._submit()
            return self._wait(waited_for)
        except KeyboardInterrupt:
            self.reporter.say(
                'Stopped waiting; the jobs continue. Run the same command again to '
                f'wait for them, or python -m mcdrl_lab plan-status {self.out} to see '
                'their states.'
            )
            raise
        finally:
            self.reporter.close()

    def _submit(self) -> dict[str, str]:
        """Submit the runs that need it; return run -> job of all unfinished runs."""
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
            f'already queued, {len(new)} submitted now.'
        )
        return queued

    def _known(self, run: str) -> dict[str, Any]:
        """Settings and data of a run, by name."""
        item = self._items[run]
        return {'settings hash': item.config_hash, **item.origin}

    def _check_submitted(self, run: str, job: str) -> None:
        """Refuse to wait for a run that was submitted with other settings or data."""
        try:
            submitted = read_json(self.out / run / SUBMITTED_NAME)
        except (FileNotFoundError, ValueError):
            # Submitted by an older version, which did not note it, or damaged.
            return
        if not isinstance(submitted, dict):
            return
        # Entries that an older version did not note are not compared.
        differing = [
            name
            for name, value in self._known(run).items()
            if submitted.get(name, value) != value
        ]
        if differing:
            raise ProtocolError(
                f'{run} is queued as job {job} with another '
                f'{" and another ".join(differing)}: run scancel {job} first, or '
                'choose another output folder.'
            )

    def _has_ended(self, run: str) -> bool:
        """Whether a run's job has finished, even if Slurm still lists it."""
        return (self.out / run / COLLECTED_NAME).is_file()

    def _wait(self, jobs: Mapping[str, str]) -> list[Failure]:
        """Watch the folders until every run has a record or its job is gone."""
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
            # Collect after the query: a job that was already gone then has written its
            # record by now, if it wrote one.
            with planning(self.out, wait_s=60):
                collect(self.out, self.keep_checkpoints)
            # Includes records that another command has collected; runs that only that
            # command waits for are ignored.
            for run in [run for run in left if self._has_ended(run)]:
                del left[run]
                record = record_of(run, self.out / run / COLLECTED_NAME)
                self._note_end(self._items[run].run, record.error, record.duration_s)
            for run in gone:
                if run in left:
                    error = (
                        f'its job {left.pop(run)} ended without a record: it was '
                        f'cancelled or failed, see {self.out / SUBMITIT_FOLDER}'
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
    """Lock a plan's folder while its jobs and records are read and changed.

    Args:
        out: Folder of the plan.
        wait_s: Seconds to wait for another command.

    Raises:
        ProtocolError: Another command has the lock.
    """
    with ExitStack() as held:
        try:
            held.enter_context(folder_lock(out, wait_s=wait_s))
        except FolderBusyError as busy:
            raise ProtocolError(f'{busy}: wait for it to end.') from None
        yield


def collect(out: Path, keep_checkpoints: bool = False) -> list[RunRecord]:
    """Move new records from the run folders to the plan's records.

    Args:
        out: Folder of the plan; the caller must hold the lock, see :func:`planning`.
        keep_checkpoints: Keep the checkpoints that only resuming needs.

    Returns:
        The new records.

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
        ProtocolError: The file does not contain exactly this run's record.
    """
    records = read_records(path)
    if [record.folder for record in records] != [run]:
        raise ProtocolError(
            f'{path} is not the record of {run}: remove it, and run the command of the '
            'plan again to repeat the run.'
        )
    return records[0]
