"""Arguments of every command that runs a plan."""

from __future__ import annotations

import argparse
from pathlib import Path

from mcdrl_common.folder_argument import folder_name
from mcdrl_lab.shared_arguments import add_cfg_options, add_metrics

from .launch import LAUNCHERS


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    """Add sites, seeds, the options for running the plan, and the tables' metrics."""
    parser.add_argument(
        '--sites',
        nargs='+',
        metavar='SITE',
        help='hold out only these sites (default: all)',
    )
    parser.add_argument(
        '--seeds',
        default='5',
        metavar='N|A-B',
        help='number of seeds N, for seeds 0 to N-1, or the first and the last seed '
        'A-B, e.g. 3-5 (default: 5)',
    )
    parser.add_argument(
        '--out', type=folder_name, help='folder for runs, records and tables'
    )
    parser.add_argument(
        '--jobs',
        type=int,
        default=1,
        help='number of runs at the same time (default: 1)',
    )
    parser.add_argument(
        '--devices',
        default='',
        help='CUDA devices to distribute over the jobs, e.g. 0,1,2',
    )
    parser.add_argument(
        '--launcher',
        choices=LAUNCHERS,
        default='none',
        help='how the processes of each run are started (default: none, a single '
        'process)',
    )
    parser.add_argument(
        '--processes',
        type=int,
        default=1,
        help='number of processes per run, with --launcher (default: 1)',
    )
    parser.add_argument(
        '--engine',
        choices=('local', 'slurm'),
        default='local',
        help='where to run: in child processes of this command, or as a Slurm job '
        'array (default: local)',
    )
    parser.add_argument(
        '--slurm',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='with --engine slurm: resources of each job. Keys: time (required; of '
        'one run), partition, account, qos, gres, cpus, mem, constraint, nodelist, '
        'exclude, signal_delay',
    )
    add_cfg_options(
        parser,
        default={},
        help='override entries of every config, as for tools/train.py',
    )
    parser.add_argument(
        '--oracle',
        action='store_true',
        help='choose checkpoints on the held-out site itself; all tables mark this',
    )
    parser.add_argument(
        '--keep-checkpoints',
        action='store_true',
        help='also keep the checkpoints of the last epochs of finished runs, not only '
        'the tested one',
    )
    parser.add_argument(
        '--max-hours',
        type=float,
        metavar='HOURS',
        help='time limit of a training or a test, in hours; one that takes longer is '
        'ended and recorded as failed. Without a limit, a run that hangs is never '
        'ended (default: no limit)',
    )
    parser.add_argument(
        '--feature-cache',
        type=Path,
        metavar='FOLDER',
        help='folder for cached features of frozen towers, shared by all runs and '
        'later plans (CPU only; at most 4 GB, or MCDRL_FEATURE_CACHE_GB)',
    )
    parser.add_argument(
        '--half-features',
        action='store_true',
        help='with --feature-cache: store features in float16, which needs half the '
        'space and keeps about three digits',
    )
    add_metrics(parser)
    parser.add_argument(
        '--dry-run', action='store_true', help='list the runs without starting them'
    )
