"""Run a complete example of MCDRL, on simulated or on real hospitals.

Without --real no data are needed: five hospitals are simulated, a baseline and MCDRL
are trained on four of them and tested on the fifth, and a report is written.
"""

from __future__ import annotations

import argparse
import sys

from mcdrl_lab.errors import ends_in_one_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = 'Example: python -m mcdrl_lab demo'
    parser.add_argument(
        '--work-dir',
        help='folder for the results (default: work_dirs/demo; with --real '
        'work_dirs/real_demo)',
    )
    parser.add_argument(
        '--images-per-site',
        type=int,
        default=100,
        help='simulated images per site (default: 100)',
    )
    parser.add_argument(
        '--seeds',
        type=int,
        default=3,
        help='training runs per method on simulated images (default: 3)',
    )
    parser.add_argument(
        '--real',
        action='store_true',
        help='train MCDRL on real images of three hospitals and test it on a fourth; '
        'MCDRL_DATA_ROOT names the folder of the sites',
    )


@ends_in_one_line
def run(args: argparse.Namespace) -> int:
    """Run the demo.

    Returns:
        Exit code: 0, or 1 if a step failed.
    """
    from .demo_steps import DemoError
    from .demos import run_demo, run_real_demo

    try:
        if args.real:
            run_real_demo(args.work_dir or 'work_dirs/real_demo')
        else:
            work_dir = args.work_dir or 'work_dirs/demo'
            run_demo(work_dir, args.images_per_site, args.seeds)
    except DemoError as error:
        print(f'demo: {error}', file=sys.stderr)
        return 1
    return 0
