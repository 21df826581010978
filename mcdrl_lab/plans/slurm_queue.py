"""What Slurm says of jobs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable

from mcdrl_lab.errors import ProtocolError

JOB = re.compile(r'\d+(?:_\d+)?')
"""A Slurm job, or a task of an array."""


def job_state(job: str) -> str:
    """State of a Slurm job that is queued or was a moment ago; '' for no such job.

    Args:
        job: Its number.

    Raises:
        ProtocolError: Slurm does not answer.
    """
    states = _squeue('--states=all', f'--jobs={job}', '--format=%T').split()
    return states[0] if states else ''


def job_states(jobs: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Ask Slurm once about many jobs.

    Args:
        jobs: As ``12_3``.

    Returns:
        Job -> state and reason, as ``('PENDING', 'Resources')``, of those that are
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
    # It forgets jobs some minutes after their end.
    if done.returncode and 'Invalid job id' not in done.stderr:
        raise ProtocolError(f'{_unanswered(command)}: {done.stderr.strip()}')
    return done.stdout


def _unanswered(command: list[str]) -> str:
    return f'Slurm does not answer `{" ".join(command)}`'
