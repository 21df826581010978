"""Train a plain loop without MMEngine on real sites, or measure the trainer against it.

The loop's Dice at a held-out site is the score that a config has to reach. With
--against the loop, a config's training and the loop again are timed in one process, in
images per second of CPU time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mcdrl_lab.errors import ProtocolError, ends_in_one_line
from mcdrl_lab.shared_arguments import add_overwrite, file_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab plain-loop data/endoscopy_sites --held-out '
        'polypgen_c1'
    )
    parser.add_argument('data', type=Path, help='folder of the sites')
    parser.add_argument(
        '--held-out',
        default='polypgen_c1',
        metavar='SITE',
        help='site to test on (default: %(default)s)',
    )
    parser.add_argument(
        '--epochs', type=int, default=8, help='number of training epochs (default: 8)'
    )
    parser.add_argument('--seed', type=int, default=0, help='random seed (default: 0)')
    parser.add_argument(
        '--threads', type=int, default=1, help='number of torch threads (default: 1)'
    )
    parser.add_argument(
        '--imagenet',
        type=Path,
        help='file of the initial weights (default: the one of the installed package)',
    )
    parser.add_argument(
        '--against',
        metavar='CONFIG',
        help='time the training of this config and the loop, instead of scoring the '
        'loop',
    )
    parser.add_argument(
        '--steps', type=int, default=30, help='training steps to time (default: 30)'
    )
    parser.add_argument(
        '--out',
        type=file_name('.json'),
        help='JSON file for the throughput that --against measures, in images per '
        'second',
    )
    add_overwrite(parser)


@ends_in_one_line
def run(args: argparse.Namespace) -> None:
    """Train and print Dice, or time and print images per second."""
    if args.out and not args.against:
        raise ProtocolError(
            f'--out {args.out}: without --against there is no speed to write. Give a '
            'CONFIG with --against, or leave out --out.'
        )
    import torch

    from .plain_loop_run import compare_speed, train_and_score

    torch.set_num_threads(args.threads)
    if args.against:
        compare_speed(args)
    else:
        train_and_score(args)
