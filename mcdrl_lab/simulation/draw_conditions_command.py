"""Draw imaging conditions on real images, so that they correlate with lesions.

At the training sites a condition occurs with large lesions (or with any lesion), at the
held-out site independently of lesions. The data set is for this one fold: train with
MCDRL_DATA_ROOT=OUT and MCDRL_HELD_OUT=SITE.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mcdrl_common.folder_argument import folder_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line; the defaults are those of ``DrawnSites``."""
    parser.epilog = (
        'Example: python -m mcdrl_lab draw-conditions data/endoscopy_sites '
        'data/drawn_c1_1.0 --held-out polypgen_c1 --correlation 1.0'
    )
    parser.add_argument('data', type=Path, help='folder of the real sites')
    parser.add_argument('out', type=folder_name, help='folder for the new data set')
    parser.add_argument(
        '--held-out',
        required=True,
        metavar='SITE',
        help='site at which conditions are independent of lesions',
    )
    parser.add_argument(
        '--correlation',
        type=float,
        default=1.0,
        help='correlation between conditions and cases, from 0 (independent) to 1 (on '
        'every case and on no other image) (default: 1.0)',
    )
    parser.add_argument(
        '--goes-with',
        choices=('size', 'presence'),
        default='size',
        help='which images are cases: size, those with a lesion larger than the '
        "site's median, or presence, those with any lesion (default: size)",
    )
    parser.add_argument(
        '--conditions',
        nargs='+',
        metavar='WORDS',
        help='conditions of the dictionary to draw, one per image (default: blur, '
        'dark lighting, narrow-band imaging, mucus, blood)',
    )
    parser.add_argument(
        '--size',
        type=int,
        default=256,
        help='height and width of the images in pixels (default: 256)',
    )
    parser.add_argument('--seed', type=int, default=0, help='random seed (default: 0)')


def run(args: argparse.Namespace) -> None:
    """Write the data set."""
    from .drawn_sites import DEFAULT, DrawnSites, write_drawn_sites

    wanted = DrawnSites(
        args.held_out,
        args.correlation,
        args.goes_with,
        tuple(args.conditions or DEFAULT),
        args.size,
        args.seed,
    )
    drawn = write_drawn_sites(wanted, args.data, args.out)
    for site, count in drawn.items():
        print(f'{site}: drawn on {count} images')
