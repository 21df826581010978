"""Queries Slurm for the states of jobs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable

from mcdrl_lab.errors import ProtocolError

JOB = re.compile(r'\d+(?:_\d+)?')
"""Id of a Slurm job, or of a task of an array, as ``12_3``."""


def job_state(job: str) -> str:
    """State of a queued, running or recently ended Slurm job; '' if unknown to Slurm.

    Args:
        job: Id of the job.

    Raises:
        ProtocolError: Slurm does not answer.
    """
    states = _squeue('--states=all', f'--jobs={job}', '--format=%T').split()
    return states[0] if states else ''


def job_states(jobs: Iterable[str]) -> dict[str, tuple[str, str]]:
    """States of several jobs, by one query.

    Args:
        jobs: Ids of jobs, as ``12_3``.

    Returns:
        Job -> state and reason, as ``('PENDING', 'Resources')``, for the jobs that are
        queued or running.

    Raises:
        ProtocolError: Slurm does not answer.
    """
    wanted = set(jobs)
    if not wanted:
        return {}
    listed = _squeue('--array', '--me', '--format=%i|%T|%r').splitlines()
    lines = (line.split('|', 2) for line in listed if line)
    return {job: (state, reason) for job, state, reason in lines if job in wanted}


def _squeue(*options: str) -> str:
    command = ['squeue', '--noheader', *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProtocolError(f'{_unanswered(command)}: {error}') from None
    # Slurm forgets a job some minutes after its end: this id is no error.
    if done.returncode and 'Invalid job id' not in done.stderr:
        raise ProtocolError(f'{_unanswered(command)}: {done.stderr.strip()}')
    return done.stdout


def _unanswered(command: list[str]) -> str:
    return f'Slurm does not answer `{" ".join(command)}`'
