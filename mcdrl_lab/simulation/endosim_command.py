"""The command line that writes EndoSim."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from mcdrl_common.findings import ConversionError
from mcdrl_lab.data.converters.convert_command import EXIT_BAD_INPUT, EXIT_STOPPED

from .contact_sheet import write_pictures
from .simulated_sites import Benchmark, write_benchmark


def make_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    defaults = Benchmark()
    parser = argparse.ArgumentParser(
        description='Draw EndoSim, a simulated benchmark of five endoscopy sites with '
        'known confounders, in the layout of real sites; see docs/endosim.md.',
        epilog='Example: python tools/dataset_converters/endosim.py data/endosim '
        '--images-per-site 200 --size 128 --spurious 0.8 --seed 0',
    )
    parser.add_argument(
        'out', type=Path, help='folder for the sites; others in it stay as they are'
    )
    parser.add_argument(
        '--images-per-site',
        type=int,
        default=defaults.images_per_site,
        metavar='N',
        help='images of each of the five sites (default: %(default)s)',
    )
    parser.add_argument(
        '--size',
        type=int,
        default=defaults.size,
        metavar='PIXELS',
        help='height and width of the images (default: %(default)s)',
    )
    parser.add_argument(
        '--spurious',
        type=float,
        default=defaults.spurious,
        metavar='SHARE',
        help='how far sites differ in how they image lesions, from 0 (not at all) to 1 '
        '(default: %(default)s)',
    )
    parser.add_argument(
        '--seed',
        type=int,
        default=defaults.seed,
        help='number of the data set (default: %(default)s)',
    )
    parser.add_argument(
        '--pictures',
        type=Path,
        metavar='FOLDER',
        help='also write contact sheets of confounders, lesions and sites there',
    )
    return parser


def run_tool(arguments: Sequence[str] | None = None) -> int:
    """Write the data set that the command line asks for.

    Args:
        arguments: The command line; None for the process's.

    Returns:
        Exit code: 0 when the data set is there, 2 for values that cannot be used or a
        folder that holds something else.
    """
    args = make_parser().parse_args(arguments)
    try:
        benchmark = Benchmark(args.images_per_site, args.size, args.spurious, args.seed)
        states = write_benchmark(benchmark, args.out, _show_progress)
        pictures = [] if args.pictures is None else write_pictures(args.pictures)
    except ConversionError as error:
        print(f'error: {error}', file=sys.stderr)
        return EXIT_BAD_INPUT
    except OSError as error:
        print(f'error: {error.filename}: {error.strerror}', file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print('stopped; nothing was written', file=sys.stderr)
        return EXIT_STOPPED
    for site, state in states.items():
        print(f'{site}: {state}: {benchmark.images_per_site} images')
    for picture in pictures:
        print(picture)
    return 0


def _show_progress(numbers: range, site: str) -> Iterable[int]:
    console = Console(stderr=True)
    return track(
        numbers,
        description=site,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
