"""Measure how much of the lesions the region selection keeps, site by site.

'kept' is the mean kept share of a lesion's area, 'whole' the share of lesions of which
at least nine tenths are kept, both in percent. A random selection keeps 100 alpha
percent.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mcdrl_lab.errors import errors_in_one_line
from mcdrl_lab.shared_arguments import add_cfg_options, add_overwrite, file_name

from .config_batches import LOADERS, batches, each_once

if TYPE_CHECKING:
    from mmengine.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = 'Example: python -m mcdrl_lab selection CONFIG --loaders train'
    parser.add_argument('config', help='config file')
    parser.add_argument(
        'checkpoint',
        type=Path,
        nargs='?',
        help='checkpoint file (default: none, CLIP as at the start of training)',
    )
    parser.add_argument(
        '--loaders',
        nargs='+',
        choices=LOADERS,
        default=['train'],
        help='data loaders to take images from (default: train)',
    )
    parser.add_argument(
        '--ratios',
        nargs='+',
        type=float,
        default=[0.25, 0.5, 0.75],
        metavar='ALPHA',
        help='ratios of kept positions, alpha (default: 0.25 0.5 0.75)',
    )
    parser.add_argument(
        '--out',
        type=file_name('.csv'),
        help='CSV file to write, with one row per lesion',
    )
    add_overwrite(parser)
    add_cfg_options(parser)


@errors_in_one_line(ValueError, FileNotFoundError)
def run(args: argparse.Namespace) -> None:
    """Print the shares by site."""
    from mmengine.logging import MMLogger

    from mcdrl_common.atomic_write import write_text
    from mcdrl_common.written_files import WrittenFiles, check_renewable
    from mcdrl_mmseg.apis import load_config, load_segmentor

    from .selection import WHOLE, kept_lesions, selection_table, untrained_segmentor

    # Hide MMEngine's messages about how each weight was initialised.
    MMLogger.get_instance('selection', log_level='WARNING')
    cfg = load_config(args.config, args.cfg_options)
    made_of = _made_of(args, cfg)
    if args.out:
        inputs = [Path(args.config), *([args.checkpoint] if args.checkpoint else [])]
        check_renewable([args.out], inputs, made_of, args.overwrite)
    model = (
        load_segmentor(args.checkpoint, cfg, 'cpu')
        if args.checkpoint
        else untrained_segmentor(cfg)
    )
    loaded = each_once(batches(cfg, args.loaders))
    kept = kept_lesions(model, loaded, args.ratios)
    print(
        'kept at R: lesion area (%) within the kept share R of positions; whole at R: '
        f'images (%) with {100 * WHOLE:.0f} % or more of it there'
    )
    print(selection_table(kept).to_string(index=False, float_format='%.1f'))
    if args.out:
        write_text(args.out, kept.to_csv(index=False))
        WrittenFiles(args.out.parent).add(args.out, made_of)
        print(args.out)


def _made_of(args: argparse.Namespace, cfg: Config) -> list[str]:
    """Inputs of the table, to distinguish it from other tables."""
    from mcdrl_common.config_datasets import plain_datasets
    from mcdrl_common.written_files import places
    from mcdrl_lab.plans.hashing import config_hash

    loaders = [cfg.get(f'{name}_dataloader') or {} for name in args.loaders]
    parts = [part for each in loaders for part in plain_datasets(each.get('dataset'))]
    return [
        'selection',
        *places(args.config, *{part.get('data_root') or '.' for part in parts}),
        # The environment may choose the held-out site, so the path does not suffice.
        f'config hash {config_hash(cfg.to_dict())[:12]}',
        *(places(args.checkpoint) if args.checkpoint else ['no checkpoint']),
        *(f'--loaders {name}' for name in args.loaders),
        *(f'--ratios {ratio:g}' for ratio in args.ratios),
    ]
