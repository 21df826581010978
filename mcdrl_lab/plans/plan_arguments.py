"""Arguments of every command that runs a plan."""

from __future__ import annotations

import argparse
from pathlib import Path

from mcdrl_lab.shared_arguments import add_cfg_options, add_metrics

from .launch import LAUNCHERS


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    """Add sites, seeds, the options for running the plan, and the tables' metrics."""
    parser.add_argument(
        '--sites', nargs='+', metavar='SITE', help='hold out these only; default: all'
    )
    parser.add_argument(
        '--seeds',
        default='5',
        metavar='N|A-B',
        help='number of seeds, 0, 1, ..., or the first and the last one, as 3-5 '
        '(default: 5)',
    )
    parser.add_argument('--out', type=Path, help='folder for runs, records and tables')
    parser.add_argument(
        '--jobs', type=int, default=1, help='runs at a time (default: 1)'
    )
    parser.add_argument(
        '--devices',
        default='',
        help='CUDA devices to share out among the jobs, as 0,1,2',
    )
    parser.add_argument(
        '--launcher',
        choices=LAUNCHERS,
        default='none',
        help='how each run starts its processes (default: one plain process)',
    )
    parser.add_argument(
        '--processes', type=int, default=1, help='processes a run, with --launcher'
    )
    parser.add_argument(
        '--engine',
        choices=('local', 'slurm'),
        default='local',
        help='where runs are carried out: by processes of this command (default), or '
        'as a job array of Slurm',
    )
    parser.add_argument(
        '--slurm',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='with --engine slurm: what a job asks for, of time (needed, of one run), '
        'partition, account, qos, gres, cpus, mem, constraint, nodelist, exclude, '
        'signal_delay',
    )
    add_cfg_options(
        parser, default={}, help='changes to every config, as for tools/train.py'
    )
    parser.add_argument(
        '--oracle',
        action='store_true',
        help='choose checkpoints on the held-out site itself; marked in all tables',
    )
    parser.add_argument(
        '--keep-checkpoints',
        action='store_true',
        help='keep the last epochs of finished runs, not only the tested checkpoint',
    )
    parser.add_argument(
        '--max-hours',
        type=float,
        metavar='HOURS',
        help='end a training or a test that takes longer, and note it as failed; one '
        'that was stopped would take for ever (default: no limit)',
    )
    parser.add_argument(
        '--feature-cache',
        type=Path,
        metavar='FOLDER',
        help='keep the features of frozen towers there, for all runs and later plans '
        '(on a CPU; at most 4 GB, or MCDRL_FEATURE_CACHE_GB)',
    )
    parser.add_argument(
        '--half-features',
        action='store_true',
        help='keep them in float16: half of the space, rounded to three digits',
    )
    add_metrics(parser)
    parser.add_argument(
        '--dry-run', action='store_true', help='list the runs and do nothing'
    )
