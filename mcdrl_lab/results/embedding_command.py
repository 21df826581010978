"""Draw t-SNE maps of a model's features before and after the intervention.

One point per image, coloured by site and by lesion, with the scores of linear probes,
in the figure and in a JSON file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mcdrl_lab.errors import errors_in_one_line
from mcdrl_lab.shared_arguments import add_cfg_options, add_device

from .config_batches import LOADERS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab embedding CONFIG '
        'work_dirs/try/best_mDice_fg_epoch_8.pth --out embedding.png'
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', type=Path, help='checkpoint file')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('embedding.png'),
        help='image file to write, in the format of its extension (default: '
        'embedding.png). Scores are written to a JSON file with the same name',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the files of an earlier run'
    )
    parser.add_argument(
        '--loaders',
        nargs='+',
        choices=LOADERS,
        default=['val', 'test'],
        help='data loaders to take images from (default: val test, whose images are '
        'not trained on)',
    )
    parser.add_argument(
        '--perplexity',
        type=float,
        default=30.0,
        help='perplexity of t-SNE (default: 30)',
    )
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        help='random seed of t-SNE and of the splits (default: 0)',
    )
    add_device(parser)
    add_cfg_options(parser)


@errors_in_one_line(ValueError, FileNotFoundError)
def run(args: argparse.Namespace) -> None:
    """Draw the maps and print the probes' scores."""
    from mcdrl_mmseg.apis import load_config

    from .embedding import write_embedding

    cfg = load_config(args.config, args.cfg_options)
    print(
        write_embedding(
            cfg,
            args.checkpoint,
            args.out,
            args.loaders,
            args.device,
            args.perplexity,
            args.seed,
            args.overwrite,
        )
    )
    print(args.out)
