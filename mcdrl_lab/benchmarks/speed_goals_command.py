"""Measure speed and memory against an earlier commit, and write the table of goals.

Each measurement runs the command that a user would call, one after another, on an
otherwise idle machine. Takes about ten minutes on two cores, forty with --tests.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mcdrl_common.folder_argument import folder_name
from mcdrl_lab.errors import ProtocolError, ends_in_one_line

_OF_A_CHECKOUT = ('configs', 'tools', 'mcdrl_mmseg', 'mcdrl_lab')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: git worktree add ../before fd129fd; python -m mcdrl_lab speed-goals '
        '../before --data data/endoscopy_sites --out work_dirs/speed'
    )
    parser.add_argument('before', type=Path, help='checkout of the earlier commit')
    parser.add_argument(
        '--data', type=Path, required=True, help='folder of the real sites'
    )
    parser.add_argument(
        '--out',
        type=folder_name,
        required=True,
        help='folder for the runs and the table; must not exist',
    )
    parser.add_argument(
        '--tests', action='store_true', help='also run the test suites of both commits'
    )


@ends_in_one_line
def run(args: argparse.Namespace) -> None:
    """Measure, print and write ``speed_goals.md`` and ``speed_goals.json``.

    Raises:
        ProtocolError: No checkout, no data, or a folder that is not new.
    """
    from .speed_goals import SpeedGoals

    now = Path(__file__).parents[2]
    for tree in (args.before.resolve(), now):
        missing = [name for name in _OF_A_CHECKOUT if not (tree / name).is_dir()]
        if missing:
            raise ProtocolError(
                f'{tree} has no {missing[0]}: expected a checkout of the repository; '
                'this package must run from one too.'
            )
    if not args.data.is_dir():
        raise ProtocolError(f'--data {args.data}: no such folder.')
    if args.out.exists():
        raise ProtocolError(
            f'--out {args.out} exists: kept features and finished runs of an earlier '
            'measurement would be reused. Choose a new folder.'
        )
    args.out.mkdir(parents=True)
    goals = SpeedGoals(
        args.before.resolve(), now, args.data.resolve(), args.out.resolve(), args.tests
    )
    goals.measure(lambda line: print(line, flush=True))
    print(f'The table is in {args.out / "speed_goals.md"}.')
