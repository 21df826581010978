"""Calculate how long the gradients of a training step travel between GPUs.

Nothing is measured: the calculation assumes a ring all-reduce in float32 that is
limited by bandwidth alone and does not overlap with computation. Times are in
milliseconds.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab communication CONFIG --gpus 8 64 --bandwidth '
        '300 25'
    )
    parser.add_argument('config', nargs='+', help='config file')
    parser.add_argument(
        '--gpus',
        type=int,
        nargs='+',
        default=[8, 64],
        help='numbers of GPUs (default: 8 64)',
    )
    parser.add_argument(
        '--bandwidth',
        type=float,
        nargs='+',
        default=[300, 25],
        help='bandwidths in GB/s per GPU and direction (default: 300, NVLink of an '
        'A100, and 25, InfiniBand HDR)',
    )


def run(args: argparse.Namespace) -> None:
    """Print one row per config."""
    import pandas as pd

    import mcdrl_mmseg  # noqa: F401  (registers the components)

    from .communication import communication_table

    rows = communication_table(args.config, args.gpus, args.bandwidth)
    with pd.option_context('display.width', 200, 'display.max_colwidth', 80):
        print(pd.DataFrame(rows).to_string(index=False, float_format='%.1f'))
