"""Command lines of training and testing, the same as MMSegmentation's.

They are outside the plug-in, whose import takes seconds: ``--help`` and errors about
options do not wait for it.
"""

from __future__ import annotations

import argparse
import re

from .folder_argument import folder_name

# A space within a value, but not next to a bracket, comma or quote.
_INNER_SPACE = re.compile(r"""[^\s,()\[\]'"]\s+[^\s,()\[\]'"]""")
_DICT = re.compile(r"""(?:^|[\[(,])\s*['"]?(?:\{.*:|dict\()""", re.DOTALL)


def train_parser() -> argparse.ArgumentParser:
    """The parser of ``tools/train.py``."""
    parser = argparse.ArgumentParser(
        description="Train a segmentor; the command line is that of MMSegmentation's "
        'tools/train.py.',
        epilog='Example: python tools/train.py configs/mcdrl/mcdrl_clip-tiny-rn_'
        'segformer_5e_endoscopy-sites-128x128.py '
        '--work-dir work_dirs/try',
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        action='store_true',
        help='resume from the latest checkpoint in the work folder',
    )
    parser.add_argument(
        '--amp', action='store_true', help='automatic mixed precision training'
    )
    add_run_arguments(parser)
    return parser


def test_parser() -> argparse.ArgumentParser:
    """The parser of ``tools/test.py``."""
    parser = argparse.ArgumentParser(
        description="Test a checkpoint; the command line is that of MMSegmentation's "
        'tools/test.py.',
        epilog='Example: python tools/test.py CONFIG work_dirs/try/'
        'best_mDice_fg_epoch_5.pth '
        '--show-dir overlays',
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--out',
        type=folder_name,
        help='folder to write the predicted label maps to, as PNG files',
    )
    parser.add_argument(
        '--show', action='store_true', help='show the predictions in a window'
    )
    parser.add_argument(
        '--show-dir',
        help='folder for prediction overlays, written to its vis_data/vis_image',
    )
    parser.add_argument(
        '--wait-time',
        type=float,
        default=2,
        help='seconds that --show displays each image (default: 2)',
    )
    parser.add_argument('--tta', action='store_true', help='use test-time augmentation')
    add_run_arguments(parser)
    return parser


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--work-dir``, ``--cfg-options``, ``--launcher`` and ``--local-rank``.

    The entries of ``--cfg-options`` stay text: MMEngine, which parses their values, is
    not imported here.
    """
    parser.add_argument('--work-dir', help='folder for logs, checkpoints and results')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        type=key_and_value,
        metavar='KEY=VALUE',
        help='override entries of the config, e.g. model.backbone.pretrained=clip.pt '
        'or key="[a,b]"',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher (default: none)',
    )
    # Since PyTorch 2.0 torch.distributed.launch passes it with a dash.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def key_and_value(text: str) -> str:
    """Check an entry of ``--cfg-options``, which MMEngine might misread.

    Args:
        text: The user's text.

    Returns:
        The same text.

    Raises:
        argparse.ArgumentTypeError: It has no value, a value with inner spaces, which
            MMEngine drops, or a dict, which MMEngine splits at commas.
    """
    key, mark, value = text.partition('=')
    if not mark:
        raise argparse.ArgumentTypeError(
            f'{text!r} has no value: expected KEY=VALUE, e.g. train_cfg.max_epochs=5.'
        )
    if _DICT.search(value.strip()):
        raise argparse.ArgumentTypeError(
            f'{text!r} holds a dict, which cannot be given here. Give its entries one '
            f'by one, such as {key}.type=NAME, or write them in a config.'
        )
    if _INNER_SPACE.search(value.strip()):
        raise argparse.ArgumentTypeError(
            f'{text!r}: MMEngine drops the spaces in values, so this would become '
            f'{value.replace(" ", "")!r}. Write the value in a config.'
        )
    return text
