"""Compare images of a new hospital, without masks, with a model's training sites.

Reports which named imaging conditions differ, which images are unusual and, with the
records of a leave-one-site-out plan, the expected Dice. Writes one HTML page and a JSON
file. Nothing leaves this machine.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from mcdrl_common.folder_argument import folder_name
from mcdrl_lab.errors import errors_in_one_line
from mcdrl_lab.shared_arguments import add_device, add_overwrite


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab site-check best.pth our_images --out site_check'
    )
    parser.add_argument(
        'checkpoint',
        metavar='CHECKPOINT',
        help='checkpoint of a model trained with MCDRL',
    )
    parser.add_argument(
        'images',
        metavar='IMAGES',
        nargs='+',
        help='images, folders, glob patterns, videos or DICOM files, as for '
        'tools/predict.py',
    )
    parser.add_argument(
        '--out',
        type=folder_name,
        default=Path('site_check'),
        help='folder for the results (default: site_check)',
    )
    add_overwrite(parser)
    parser.add_argument(
        '--records',
        type=Path,
        help='folder of a leave-one-site-out plan, from which the Dice is estimated',
    )
    parser.add_argument(
        '--data-root', type=Path, help='folder of the sites in --records'
    )
    parser.add_argument(
        '--method',
        help='method of --records (default: the last recorded one with the '
        "checkpoint's network)",
    )
    parser.add_argument(
        '--low-dice',
        type=float,
        default=0.5,
        help='flag images with an expected Dice below this (default: 0.5)',
    )
    parser.add_argument(
        '--shown',
        type=int,
        default=12,
        help='number of the most unusual images to show, with the predicted lesion '
        '(default: 12)',
    )
    parser.add_argument(
        '--config', help='config file, for a checkpoint that stores none'
    )
    add_device(parser)


@errors_in_one_line(ValueError, FileNotFoundError)
def run(args: argparse.Namespace) -> int:
    """Write the results; return 1 if an input could not be read."""
    from mcdrl_common.printable import printable
    from mcdrl_common.written_files import places
    from mcdrl_lab.errors import ProtocolError
    from mcdrl_mmseg.apis.inferencer import MCDRLInferencer

    from .recorded_dice import recorded_dice
    from .site_check import check_site, overlays
    from .site_page import check_replaceable, notes, words, write_check

    if not 0 <= args.low_dice <= 1:
        raise ProtocolError(f'--low-dice {args.low_dice} must lie in [0, 1].')
    if args.shown < 0:
        raise ProtocolError(f'--shown {args.shown} must be 0 or more.')
    made_of = ['site-check', *places(args.checkpoint, *args.images)]
    if args.records is not None:
        made_of += [f'--records {place}' for place in places(args.records)]
        made_of.append(f'--method {args.method or "of the checkpoint"}')
    check_replaceable(args.out, made_of, args.overwrite)
    recorded = None
    if args.records is not None:
        recorded = partial(recorded_dice, args.records, args.data_root, args.method)
    inferencer = MCDRLInferencer(
        args.config, args.checkpoint, device=args.device, show_progress=False
    )
    check = check_site(
        inferencer, args.checkpoint, args.images, recorded, leave_out=args.out
    )
    shown = check.by_distance[: args.shown]
    pictures = list(zip(shown, overlays(inferencer, shown), strict=True))
    page = write_check(check, args.out, pictures, args.low_dice, made_of)
    print(
        f'{len(check.images)} images compared with {len(check.reference.sites)} '
        f'training sites; {100 * check.unusual:.0f} % are unusual'
    )
    for line in words(check) or ['no named condition differs from all training sites']:
        print(printable(line))
    if check.dice is None:
        print('Dice was not estimated: set --records to the records of a plan')
    else:
        print(
            f'expected Dice {100 * check.dice.mean:.0f} % (95 % interval '
            f'{100 * check.dice.low:.0f} to {100 * check.dice.high:.0f} %), from '
            f'{next(iter(check.dice_models))}'
        )
    for note in notes(check):
        print(f'note: {note}')
    for name, why in check.problems.items():
        print(printable(f'skipped: {why if name in why else f"{name}: {why}"}'))
    print(page)
    return 1 if check.problems else 0
