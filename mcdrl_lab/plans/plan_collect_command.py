"""Gather the records that a plan's Slurm jobs wrote, and write the plan's tables."""

from __future__ import annotations

import argparse
from pathlib import Path

from mcdrl_lab.errors import ProtocolError, ends_in_one_line
from mcdrl_lab.shared_arguments import add_metrics


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab plan-collect work_dirs/leave_one_site_out'
    )
    parser.add_argument('folder', type=Path, metavar='PLAN', help='folder of a plan')
    add_metrics(parser)
    parser.add_argument(
        '--keep-checkpoints',
        action='store_true',
        help='also keep the checkpoints of the last epochs of finished runs, not only '
        'the tested one',
    )


@ends_in_one_line
def run(args: argparse.Namespace) -> None:
    """Collect the records; running jobs are not affected."""
    from .plan_command import show_report
    from .records import RECORDS_NAME
    from .slurm_engine import collect, planning
    from .slurm_jobs import JOBS_NAME

    if not (args.folder / JOBS_NAME).is_file():
        raise ProtocolError(
            f'{args.folder} has no {JOBS_NAME}: no run of this plan was submitted to '
            'Slurm.'
        )
    with planning(args.folder):
        records = collect(args.folder, args.keep_checkpoints)
    print(f'{len(records)} new records.')
    if (args.folder / RECORDS_NAME).is_file():
        show_report(args.folder, args.metrics)
