"""The main job end to end: train on three hospitals, test on a fourth, draw."""

import argparse
import sys

from mcdrl_mmseg.apis.demo import DemoError, run_demo


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog='Example: python tools/demo.py'
    )
    parser.add_argument(
        '--work-dir', default='work_dirs/demo', help='where the results go'
    )
    args = parser.parse_args()
    try:
        run_demo(args.work_dir)
    except DemoError as error:
        sys.exit(f'demo: {error}')


if __name__ == '__main__':
    main()
