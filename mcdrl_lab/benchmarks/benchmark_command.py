"""Measure time, FLOPs and memory of models, and the share of each of their parts."""

from __future__ import annotations

import argparse

from mcdrl_common.folder_argument import folder_name
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
        help="compare with: tower (CLIP's image tower alone, as loaded), folded-tower "
        '(the same with its batch norms folded into its convolutions, as the model '
        'runs it), FCNHead, SegformerHead or UPerHead on the same tower, or another '
        'config (also mmseg::NAME)',
    )
    parser.add_argument(
        '--mode',
        choices=MODES,
        default='inference',
        help='what to measure: inference, train (a training step), data (loading), or '
        'start (building the confounder dictionary) (default: inference)',
    )
    parser.add_argument(
        '--device', default='cpu', help='torch device, e.g. cuda:0 (default: cpu)'
    )
    parser.add_argument('--amp', action='store_true', help='use bfloat16 autocast')
    parser.add_argument('--compile', action='store_true', help='use torch.compile')
    parser.add_argument(
        '--channels-last',
        action='store_true',
        help='use the channels-last memory format',
    )
    parser.add_argument(
        '--batch-size', type=int, default=1, help='images per batch (default: 1)'
    )
    parser.add_argument(
        '--size',
        type=int,
        default=224,
        help='height and width of the images in pixels (default: 224)',
    )
    parser.add_argument(
        '--rounds',
        type=int,
        default=20,
        help='timed passes of each model (default: 20)',
    )
    parser.add_argument(
        '--threads',
        type=int,
        help="number of torch threads (default: torch's own choice)",
    )
    parser.add_argument(
        '--cpu-time',
        action='store_true',
        help='measure CPU time instead of wall-clock time, for a machine with other '
        'load',
    )
    parser.add_argument(
        '--ratios',
        nargs='+',
        type=float,
        default=[],
        metavar='ALPHA',
        help='compare these ratios of kept positions; the last is compared with the '
        'ones before it',
    )
    parser.add_argument(
        '--confounders',
        nargs='+',
        type=int,
        default=[],
        metavar='M',
        help='compare these dictionary sizes; the last is compared with the ones '
        'before it',
    )
    parser.add_argument(
        '--time-only',
        action='store_true',
        help='measure time only: no FLOPs, memory or shares of the parts',
    )
    parser.add_argument(
        '--cache-dir',
        help='with --mode data: also measure with decoded images cached in this folder',
    )
    parser.add_argument(
        '--out', type=folder_name, help='folder for the JSON file and the plots'
    )
    add_overwrite(parser)


@ends_in_one_line
def run(args: argparse.Namespace) -> None:
    """Measure, print, and write the results if asked for."""
    import mcdrl_mmseg  # noqa: F401  (registers the components)

    from .run_benchmark import run_benchmark

    run_benchmark(args)
