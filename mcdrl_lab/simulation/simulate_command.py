"""Generate EndoSim: five simulated endoscopy sites with known confounders.

The sites have the same layout as real ones; see docs/endosim.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from mcdrl_common.folder_argument import folder_name
from mcdrl_lab.errors import EXIT_STOPPED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line; the defaults are those of ``Benchmark``."""
    parser.epilog = (
        'Example: python -m mcdrl_lab simulate data/endosim '
        '--images-per-site 200 --size 128 --spurious 0.8 --seed 0'
    )
    parser.add_argument(
        'out',
        type=folder_name,
        help='folder for the sites; other sites in it are left unchanged',
    )
    parser.add_argument(
        '--images-per-site',
        type=int,
        default=200,
        metavar='N',
        help='images per site, of five sites (default: %(default)s)',
    )
    parser.add_argument(
        '--size',
        type=int,
        default=128,
        metavar='PIXELS',
        help='height and width of the images (default: %(default)s)',
    )
    parser.add_argument(
        '--spurious',
        type=float,
        default=0.8,
        metavar='SHARE',
        help='how much sites differ in how they image lesions, from 0 (not at all) to '
        '1 (default: %(default)s)',
    )
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        help='random seed, which identifies the data set (default: %(default)s)',
    )
    parser.add_argument(
        '--lesion-places',
        choices=('central', 'anywhere'),
        default='central',
        help='where lesions are placed: near the image centre, or anywhere in the '
        'field of view (default: %(default)s)',
    )
    parser.add_argument(
        '--pairing',
        type=int,
        default=0,
        metavar='N',
        help='which conditions occur with which sites and lesion classes: 0 for the '
        'table in docs/endosim.md, any other number for other pairs (default: '
        '%(default)s)',
    )
    parser.add_argument(
        '--pictures',
        type=folder_name,
        metavar='FOLDER',
        help='also write contact sheets of confounders, lesions and sites to this '
        'folder',
    )


def run(args: argparse.Namespace) -> int:
    """Write the data set that the command line asks for.

    Returns:
        Exit code: 0 when the data set is there, 2 for values that cannot be used or a
        folder that holds something else.
    """
    from mcdrl_common.atomic_write import write_bytes
    from mcdrl_common.tracked import tracked

    from .contact_sheet import draw_pictures
    from .simulated_sites import Benchmark, write_benchmark

    try:
        benchmark = Benchmark(
            args.images_per_site,
            args.size,
            args.spurious,
            args.seed,
            args.lesion_places,
            args.pairing,
        )
        # Before the sites, which take longer: another file may be in the way.
        pictures = {} if args.pictures is None else draw_pictures(args.pictures)
        states = write_benchmark(benchmark, args.out, tracked)
    except KeyboardInterrupt:
        print('stopped; nothing was written', file=sys.stderr)
        return EXIT_STOPPED
    for path, content in pictures.items():
        write_bytes(path, content)
    for site, state in states.items():
        print(f'{site}: {state}: {benchmark.images_per_site} images')
    if benchmark.pairing:
        print('\n'.join(_pairs(benchmark.pairing)))
    for picture in pictures:
        print(picture)
    return 0


def _pairs(number: int) -> Iterator[str]:
    """Which condition goes with which lesions, one line per site."""
    from .hospitals import SITES, pairing_of

    pairing = pairing_of(number)
    for site in SITES:
        here = ', '.join(name for name, home in pairing.home.items() if home == site)
        clues = '; '.join(
            f'{name} with {" and ".join(pairing.classes_of(name, site))}'
            for name in pairing.class_clues
        )
        yield f'{site}: home of {here}; {clues}'
