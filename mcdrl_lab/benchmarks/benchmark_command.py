"""Measure what models cost, side by side: time, FLOPs, memory, share of each part."""

from __future__ import annotations

import argparse
from pathlib import Path

from mcdrl_lab.errors import ends_in_one_line
from mcdrl_lab.shared_arguments import add_overwrite

MODES = ('inference', 'train', 'data', 'start')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab benchmark CONFIG --against tower FCNHead '
        '--batch-size 8 --out work_dirs/benchmark'
    )
    parser.add_argument('config', nargs='+', help='configs to measure')
    parser.add_argument(
        '--against',
        nargs='+',
        default=[],
        metavar='WHAT',
        help="compare with: tower (CLIP's image tower alone, as it is loaded), "
        'folded-tower (the same as the model runs it, its batch norms in its '
        'convolutions), FCNHead, SegformerHead or UPerHead on the same tower, or '
        'another config (mmseg::NAME too)',
    )
    parser.add_argument(
        '--mode', choices=MODES, default='inference', help='(default: inference)'
    )
    parser.add_argument('--device', default='cpu', help='as cuda:0 (default: cpu)')
    parser.add_argument('--amp', action='store_true', help='bfloat16 by autocast')
    parser.add_argument('--compile', action='store_true', help='torch.compile')
    parser.add_argument('--channels-last', action='store_true', help='memory format')
    parser.add_argument('--batch-size', type=int, default=1, help='(default: 1)')
    parser.add_argument('--size', type=int, default=224, help='pixels (default: 224)')
    parser.add_argument(
        '--rounds', type=int, default=20, help='passes of each (default: 20)'
    )
    parser.add_argument('--threads', type=int, help="of torch (default: torch's own)")
    parser.add_argument(
        '--cpu-time',
        action='store_true',
        help='count the time on the cores, not the clock: for a busy machine',
    )
    parser.add_argument(
        '--ratios',
        nargs='+',
        type=float,
        default=[],
        metavar='ALPHA',
        help='compare shares of kept positions, the last with those before',
    )
    parser.add_argument(
        '--confounders',
        nargs='+',
        type=int,
        default=[],
        metavar='M',
        help='compare sizes of the dictionary, the last with those before',
    )
    parser.add_argument(
        '--time-only', action='store_true', help='no FLOPs, memory and parts'
    )
    parser.add_argument(
        '--cache-dir', help='with --mode data: compare with decoded images kept there'
    )
    parser.add_argument('--out', type=Path, help='folder for JSON and plots')
    add_overwrite(parser)


@ends_in_one_line
def run(args: argparse.Namespace) -> None:
    """Measure, print, and write the results if asked for."""
    import mcdrl_mmseg  # noqa: F401  (registers the components)

    from .run_benchmark import run_benchmark

    run_benchmark(args)
