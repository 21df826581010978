"""Verify a data set: everything wrong with it at once, by file, before training."""

import argparse
import sys
from pathlib import Path

from mmengine.config import DictAction

import mcdrl_mmseg  # noqa: F401  (registers the components)
from mcdrl_lab.data.verify_command import run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=f'{__doc__} Exit code: 0 without problems, 1 with some, 2 where '
        'nothing can be verified. See docs/datasets.md.',
        epilog='Example: python tools/verify_dataset.py data/endoscopy_sites '
        '--fix data/endoscopy_sites_fixed',
    )
    parser.add_argument(
        'target', help='config, or folder of sites as the converters write it'
    )
    parser.add_argument(
        '--fast', action='store_true', help='look at names alone, read no file'
    )
    parser.add_argument(
        '--fix',
        type=Path,
        metavar='FOLDER',
        help='write a copy to this new folder, with what can be put right without loss '
        'put right, and the rest left out and named',
    )
    parser.add_argument(
        '--allow',
        nargs='+',
        metavar='KIND',
        help="kinds of findings that are no problem here, as 'lesion-free site'",
    )
    parser.add_argument(
        '--json', action='store_true', help='print JSON, with all files'
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        '--show',
        type=int,
        default=20,
        metavar='N',
        help='files to show of each kind (default: %(default)s)',
    )
    shown.add_argument('--all', action='store_true', help='show all files')
    parser.add_argument(
        '--jobs', type=int, help='processes that read (default: all processors)'
    )
    parser.add_argument(
        '--no-cache', action='store_true', help='read every file, and keep nothing'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override entries of the config',
    )
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(run(parse_args()))
