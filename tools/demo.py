"""See MCDRL at work: on simulated hospitals, or on real ones."""

import argparse
import sys

from mcdrl_lab.demo.demo_steps import DemoError
from mcdrl_lab.demo.real_demo import run_real_demo
from mcdrl_lab.demo.simulated_demo import run_demo


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=f'{__doc__} Without --real nothing is needed: five simulated '
        'hospitals are drawn, a baseline and MCDRL are trained on four of them and '
        'tested on the fifth, and a report is written.',
        epilog='Example: python tools/demo.py',
    )
    parser.add_argument(
        '--work-dir',
        help='where the results go (default: work_dirs/demo, work_dirs/real_demo)',
    )
    parser.add_argument(
        '--images-per-site',
        type=int,
        default=100,
        help='simulated images of each site (default: 100)',
    )
    parser.add_argument(
        '--seeds',
        type=int,
        default=3,
        help='trainings of each method on simulated images (default: 3)',
    )
    parser.add_argument(
        '--real',
        action='store_true',
        help='train MCDRL on the real images of three hospitals, test on a fourth; '
        'MCDRL_DATA_ROOT names their folder',
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        if args.real:
            run_real_demo(args.work_dir or 'work_dirs/real_demo')
        else:
            work_dir = args.work_dir or 'work_dirs/demo'
            run_demo(work_dir, args.images_per_site, args.seeds)
    except DemoError as error:
        sys.exit(f'demo: {error}')


if __name__ == '__main__':
    main()
