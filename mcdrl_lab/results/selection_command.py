"""Measure how much of the lesions the region selection keeps, site by site.

'kept' is the mean share of a lesion's area, 'whole' the share of lesions of which
nine tenths are kept, both in percent. A selection that knows nothing keeps 100 alpha
percent.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mcdrl_lab.errors import errors_in_one_line
from mcdrl_lab.shared_arguments import add_cfg_options

from .config_batches import LOADERS, batches


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = 'Example: python -m mcdrl_lab selection CONFIG --loaders train'
    parser.add_argument('config', help='config file')
    parser.add_argument(
        'checkpoint',
        type=Path,
        nargs='?',
        help='checkpoint file; without one, CLIP as training would start from it',
    )
    parser.add_argument(
        '--loaders',
        nargs='+',
        choices=LOADERS,
        default=['train'],
        help='whose images (default: train)',
    )
    parser.add_argument(
        '--ratios',
        nargs='+',
        type=float,
        default=[0.25, 0.5, 0.75],
        metavar='ALPHA',
        help='shares of positions kept (default: 0.25 0.5 0.75)',
    )
    parser.add_argument(
        '--out', type=Path, help='CSV file to write, a row for each lesion'
    )
    add_cfg_options(parser)


@errors_in_one_line(ValueError, FileNotFoundError)
def run(args: argparse.Namespace) -> int:
    """Print the shares by site; returns 2 for input that cannot be used."""
    from mmengine.logging import MMLogger

    from mcdrl_common.atomic_write import write_text
    from mcdrl_mmseg.apis import load_config, load_segmentor

    from .selection import kept_lesions, selection_table, untrained_segmentor

    # Not how each weight was initialised.
    MMLogger.get_instance('selection', log_level='WARNING')
    cfg = load_config(args.config, args.cfg_options)
    model = (
        load_segmentor(args.checkpoint, cfg, 'cpu')
        if args.checkpoint
        else untrained_segmentor(cfg)
    )
    kept = kept_lesions(model, batches(cfg, args.loaders), args.ratios)
    print(selection_table(kept).to_string(index=False, float_format='%.1f'))
    if args.out:
        write_text(args.out, kept.to_csv(index=False))
        print(args.out)
    return 0
