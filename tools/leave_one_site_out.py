"""Train and test one or several methods with every site held out in turn."""

import argparse
from pathlib import Path

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.plan_command import (
    add_plan_arguments,
    parse_method,
    run_plan,
    run_tool,
    show_report,
)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=f'{__doc__} Folds and seeds are derived from one config a method. '
        'Finished runs are not run again, interrupted ones go on.',
        epilog='Example: python tools/leave_one_site_out.py '
        'baseline=configs/baselines/BASELINE.py mcdrl=configs/mcdrl/MCDRL.py '
        '--seeds 5 --jobs 2 --out work_dirs/loso',
    )
    parser.add_argument('config', nargs='*', metavar='[NAME=]CONFIG', help='methods')
    parser.add_argument(
        '--tables-only',
        action='store_true',
        help='write tables and plots again from the records in --out; run nothing',
    )
    add_plan_arguments(parser)
    return parser.parse_args()


def main() -> int:
    """Run the tool; returns its exit code."""
    args = parse_args()
    out = args.out or Path('work_dirs/leave_one_site_out')
    if args.tables_only:
        show_report(out, args.metrics)
        return 0
    if not args.config:
        raise ProtocolError('name at least one config, see --help.')
    methods = [parse_method(text) for text in args.config]
    return run_plan(methods, args, Path(__file__).parent, out)


if __name__ == '__main__':
    run_tool(main)
