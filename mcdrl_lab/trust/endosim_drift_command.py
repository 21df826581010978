"""Measure on EndoSim whether site-check names the conditions that truly differ.

Every site of every draw is held out and compared with the other four, by the built-in
tiny CLIP and without masks; the simulator knows how often each condition occurs.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        '--seeds',
        type=int,
        nargs='+',
        default=[0, 11, 12, 13, 14, 15],
        help='draws (default: the six of docs/evidence.md)',
    )
    parser.add_argument(
        '--images-per-site', type=int, default=100, help='images (default: 100)'
    )
    parser.add_argument(
        '--spurious', type=float, default=1.0, help='how far sites differ (default: 1)'
    )
    parser.add_argument(
        '--records',
        help='instead: how well conditions tell the Dice in these records, of a plan '
        'on the one draw of --seeds',
    )
    parser.add_argument(
        '--method', help='method of --records (default: the last one recorded)'
    )


def run(args: argparse.Namespace) -> int:
    """Print every site and the two scores; returns 2 for values out of range."""
    import sys

    from rich.console import Console
    from rich.progress import track

    from mcdrl_common.findings import ConversionError
    from mcdrl_common.site_reference import SiteReferenceError
    from mcdrl_lab.errors import ProtocolError
    from mcdrl_lab.simulation.simulated_sites import Benchmark

    from .builtin_encoder import builtin_encoder
    from .endosim_drift import (
        expected_dice_of_draw,
        named_conditions,
        precision_and_recall,
    )

    console = Console(stderr=True)
    try:
        if args.records is not None:
            if len(args.seeds) != 1:
                raise ProtocolError('--records are of one draw: name it by --seeds.')
            (seed,) = args.seeds
            benchmark = Benchmark(args.images_per_site, 128, args.spurious, seed)
            model = expected_dice_of_draw(
                builtin_encoder(), benchmark, args.records, args.method
            )
            print(
                f'rank correlation {model.rank_correlation:.2f}, {model.images} images'
            )
            for site, error in model.site_errors.items():
                print(f'{site}: mean Dice missed by {100 * error:+.0f} points')
            return 0
        results = named_conditions(
            builtin_encoder(),
            args.seeds,
            args.images_per_site,
            args.spurious,
            lambda seeds: track(
                seeds, 'draws', console=console, disable=not console.is_terminal
            ),
        )
    except (ConversionError, ProtocolError, SiteReferenceError) as error:
        print(f'endosim-drift: {error}', file=sys.stderr)
        return 2
    for result in results:
        print(
            f'draw {result.seed}, {result.site}: named {_signed(result.named)}; '
            f'true {_signed(result.truth)}'
        )
    precision, recall = precision_and_recall(results)
    right, named, true = (
        sum(values)
        for values in zip(*((r.right, len(r.named), len(r.truth)) for r in results))
    )
    print(f'precision {_share(precision)} ({right} of {named} named)')
    print(f'recall {_share(recall)} ({right} of {true} that differ)')
    return 0


def _signed(names: dict[str, int]) -> str:
    listed = [f'{"more" if sign > 0 else "less"} {n}' for n, sign in names.items()]
    return ', '.join(listed) or 'nothing'


def _share(value: float | None) -> str:
    return 'undefined' if value is None else f'{value:.2f}'
