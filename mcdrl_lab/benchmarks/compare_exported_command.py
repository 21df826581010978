"""Compare Dice and time of exported files with the model that they come from.

Dice is the mean over images with a lesion, at native resolution. Times are medians over
passes of one image; the model and the files are timed in turn.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mcdrl_lab.errors import errors_in_one_line
from mcdrl_lab.shared_arguments import add_overwrite, file_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab compare-exported best.pth best.onnx '
        'best_int8.onnx --images data/site/images --masks data/site/masks'
    )
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        'file',
        nargs='+',
        help='files written by tools/export.py, all for the same image size',
    )
    parser.add_argument('--images', required=True, help='folder of images')
    parser.add_argument('--masks', required=True, help='folder of masks (PNG)')
    parser.add_argument(
        '--config', help='config file (default: the one stored in the checkpoint)'
    )
    parser.add_argument(
        '--rounds', type=int, default=100, help='timed passes (default: 100)'
    )
    parser.add_argument(
        '--threads', type=int, default=1, help='number of threads (default: 1)'
    )
    parser.add_argument('--out', type=file_name('.json'), help='JSON file to write')
    add_overwrite(parser)


@errors_in_one_line(FileNotFoundError, ValueError)
def run(args: argparse.Namespace) -> None:
    """Print one row per file; write the rows if asked for."""
    import torch

    from mcdrl_common.written_files import check_renewable, places
    from mcdrl_mmseg.apis.checkpoint import load_segmentor
    from mcdrl_mmseg.apis.export.runtime import open_exported

    from .exported_models import compare_exported, image_pairs
    from .measured_rows import show_rows

    torch.set_num_threads(args.threads)
    pairs = image_pairs(args.images, args.masks)
    inputs = [args.checkpoint, *args.file, args.images, args.masks]
    made_of = ['compare-exported', *places(*inputs), f'--threads {args.threads}']
    if args.out:
        read = [*map(Path, inputs), *(path for pair in pairs for path in pair)]
        check_renewable([args.out], read, made_of, args.overwrite)
    files = sum(path.is_file() for path in Path(args.images).glob('*'))
    if files > len(pairs):
        print(
            f'{files - len(pairs)} of {files} files in {args.images} have no mask '
            f'NAME.png in {args.masks} and are left out.',
            file=sys.stderr,
        )
    rows = compare_exported(
        load_segmentor(args.checkpoint, args.config, 'cpu'),
        [open_exported(file, args.threads) for file in args.file],
        pairs,
        args.rounds,
    )
    setting = dict(images=len(pairs), threads=args.threads, rounds=args.rounds)
    show_rows(rows, '%.4g', args.out, made_of, **setting)
