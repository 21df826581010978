"""The Slurm job of each run of a plan, and the submission of jobs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcdrl_common.atomic_write import write_text
from mcdrl_common.json_files import read_json
from mcdrl_lab.errors import ProtocolError

from .folder_names import check_name
from .slurm_queue import JOB

JOBS_NAME = 'slurm_jobs.json'
WAITING = ('PENDING', 'REQUEUED', 'REQUEUE_HOLD', 'SPECIAL_EXIT')
RUNNING = ('CONFIGURING', 'RUNNING', 'COMPLETING', 'SUSPENDED', 'RESIZING', 'STOPPED')


def _is_run(name: str) -> bool:
    """Whether a name is a valid run folder, METHOD/SITE/seedN, and no other path."""
    *names, seed = name.split('/')
    try:
        checked = [check_name('run', part) for part in names]
    except ProtocolError:
        return False
    return len(checked) == 2 and re.fullmatch(r'seed\d+', seed) is not None


class SlurmJobs:
    """The jobs of a plan, stored in a file of its folder.

    Args:
        out: Folder of the plan.
    """

    def __init__(self, out: Path) -> None:
        self.path = Path(out) / JOBS_NAME

    def read(self) -> dict[str, str]:
        """Run's folder -> its latest job; empty if none was submitted.

        Raises:
            ProtocolError: The file is damaged.
        """
        try:
            jobs = read_json(self.path)
        except FileNotFoundError:
            return {}
        except (ValueError, OSError) as error:
            raise ProtocolError(f'{self.path} cannot be read: {error}') from None
        if not isinstance(jobs, dict) or not all(
            _is_run(run) and isinstance(job, str) and JOB.fullmatch(job)
            for run, job in jobs.items()
        ):
            raise ProtocolError(
                f'{self.path} is not a list of jobs: expected METHOD/SITE/seedN -> job.'
            )
        return jobs

    def add(self, jobs: Mapping[str, str]) -> None:
        """Add submitted jobs to the file.

        Args:
            jobs: Run's folder -> job.
        """
        write_text(self.path, json.dumps({**self.read(), **jobs}, indent=1))


def submit(
    tasks: Mapping[str, Any], parameters: Mapping[str, Any], folder: Path, parallel: int
) -> dict[str, str]:
    """Submit tasks as one job array.

    Args:
        tasks: Run's folder -> callable for submitit, which the job calls.
        parameters: From :func:`~mcdrl_lab.plans.slurm_options.slurm_parameters`.
        folder: Folder for submitit's files.
        parallel: Largest number of tasks that run at a time.

    Returns:
        Run's folder -> job.

    Raises:
        ProtocolError: Slurm does not accept the jobs.
    """
    import submitit

    try:
        # Allow many timeouts: after each the run is requeued and resumes.
        executor = submitit.SlurmExecutor(folder=folder, max_num_timeout=1000)
        executor.update_parameters(
            job_name='mcdrl',
            array_parallelism=parallel,
            stderr_to_stdout=True,
            **parameters,
        )
        jobs = executor.submit_array(list(tasks.values()))
    except (RuntimeError, OSError, submitit.core.utils.FailedJobError) as error:
        reason = ' '.join(str(error).split())
        raise ProtocolError(f'Slurm did not accept the runs: {reason}') from None
    return {run: job.job_id for run, job in zip(tasks, jobs)}
