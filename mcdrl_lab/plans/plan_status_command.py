"""Print the state of a plan's runs on Slurm, from their folders and Slurm's queue."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from mcdrl_lab.errors import ProtocolError, ends_in_one_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab plan-status work_dirs/leave_one_site_out'
    )
    parser.add_argument('folder', type=Path, metavar='PLAN', help='folder of a plan')


@ends_in_one_line
def run(args: argparse.Namespace) -> None:
    """Print one line per run, and the number of runs in each state."""
    lines = run_states(args.folder)
    width = max(len(run) for run, *_ in lines)
    for name, state, words in lines:
        print(f'{name:{width}}  {state:8}  {words}'.rstrip())
    counts = Counter(state for _, state, _ in lines)
    print(', '.join(f'{count} {state}' for state, count in counts.items()))


def run_states(out: Path) -> list[tuple[str, str, str]]:
    """State of every run that was submitted to Slurm.

    Args:
        out: Folder of the plan.

    Returns:
        Run, state and details of each. States are ``done``, ``failed``, ``running``,
        ``queued``, and ``lost`` for a job that ended without a record.

    Raises:
        ProtocolError: No run of the plan was submitted, or Slurm does not answer.
    """
    from .records import RECORDS_NAME, read_latest
    from .run_folder import RunFolder
    from .slurm_engine import COLLECTED_NAME, SUBMITTED_NAME, record_of
    from .slurm_jobs import JOBS_NAME, WAITING, SlurmJobs
    from .slurm_queue import job_states
    from .slurm_task import RECORD_NAME

    jobs = SlurmJobs(out).read()
    if not jobs:
        raise ProtocolError(
            f'{out} has no {JOBS_NAME}: no run of this plan was submitted to Slurm.'
        )
    records = {record.folder: record for record in read_latest(out / RECORDS_NAME)}
    queue = job_states(jobs.values())
    found = []
    for name, job in jobs.items():
        record = records.get(name)
        path = out / name / RECORD_NAME
        if path.is_file():
            record = record_of(name, path)
        state, reason = queue.get(job, ('', ''))
        step = RunFolder(out / name).latest_step()
        trained = f', last checkpoint {step}' if step else ''
        if record is not None and record.status == 'done':
            found.append((name, 'done', f'{record.duration_s:.0f} s'))
        elif state in WAITING:
            found.append((name, 'queued', f'job {job}, {state}: {reason}{trained}'))
        elif state:
            found.append((name, 'running', f'job {job}, {state}{trained}'))
        # Submitting removes an earlier record from the run's folder, but not from the
        # plan's records: a failure there may be of an earlier job.
        elif record is not None and (
            path.is_file()
            or (out / name / COLLECTED_NAME).is_file()
            or not (out / name / SUBMITTED_NAME).is_file()
        ):
            found.append((name, 'failed', str(record.error)))
        else:
            words = f'job {job} ended without a record{trained}'
            found.append((name, 'lost', words))
    return found
