"""Cut from each image one crop with a lesion and one without.

The result has as many images with a lesion as without, of the same cameras and sizes.
draw-conditions --goes-with presence needs such images.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mcdrl_common.folder_argument import folder_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab crop-pairs data/endoscopy_sites data/crop_pairs'
    )
    parser.add_argument('data', type=Path, help='folder of the real sites')
    parser.add_argument('out', type=folder_name, help='folder for the new data set')
    parser.add_argument('--seed', type=int, default=0, help='random seed (default: 0)')


def run(args: argparse.Namespace) -> None:
    """Write the data set."""
    from .crop_pairs import write_crop_pairs

    for site, count in write_crop_pairs(args.data, args.out, args.seed).items():
        print(f'{site}: {count} pairs')
