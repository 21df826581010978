"""Calibrate the lesion probability of a checkpoint by temperature scaling.

One temperature per lesion class is fitted on the validation images of the training
sites, and written into a copy of the checkpoint. tools/predict.py and tools/export.py
then give calibrated probabilities; masks do not change.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mcdrl_lab.checkpoint_meta import write_with_meta
from mcdrl_lab.errors import ProtocolError, errors_in_one_line
from mcdrl_lab.shared_arguments import CHECKPOINTS, add_device, file_name

if TYPE_CHECKING:
    from .temperature_fit import Calibration

_SHOWN = ('ECE', 'ACE', 'Brier', 'ECE_border', 'Brier_border')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = 'Example: python -m mcdrl_lab calibrate work_dirs/try/best.pth'
    parser.add_argument('checkpoint', type=Path, help='checkpoint file')
    parser.add_argument(
        '--config',
        type=Path,
        help='config file of the training (default: the one that the training wrote '
        'beside the checkpoint)',
    )
    parser.add_argument(
        '--test',
        action='store_true',
        help='also measure calibration on the test images, which are not used for '
        'fitting',
    )
    parser.add_argument(
        '--out',
        type=file_name(*CHECKPOINTS),
        help='file to write (default: NAME_calibrated.pth)',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the file of an earlier run'
    )
    add_device(parser)


@errors_in_one_line(ValueError, FileNotFoundError)
def run(args: argparse.Namespace) -> None:
    """Fit the temperatures, write the checkpoint, print the scores before and after."""
    out = args.out or args.checkpoint.with_name(
        f'{args.checkpoint.stem}_calibrated{args.checkpoint.suffix}'
    )
    if not args.checkpoint.is_file():
        raise ProtocolError(f'checkpoint {str(args.checkpoint)!r} is not a file.')
    from mmengine.logging import MMLogger

    from mcdrl_common.config_datasets import site_names
    from mcdrl_common.trained_sites import trained_on_note
    from mcdrl_common.written_files import check_targets
    from mcdrl_mmseg.apis import load_config, load_segmentor
    from mcdrl_mmseg.apis.temperature import META_KEY

    from .html_report.report_source import config_of
    from .temperature_fit import calibrate, limit_note

    MMLogger.get_instance('calibrate', log_level='WARNING')
    config = args.config or config_of(args.checkpoint.parent)
    if config is None:
        raise ProtocolError(
            f'there is no config.py beside {args.checkpoint}: set --config to the '
            'config that it was trained with.'
        )
    inputs = [args.checkpoint, config]
    check_targets(out.parent, [out], inputs, args.overwrite)
    cfg = load_config(str(config))
    model = load_segmentor(args.checkpoint, cfg, args.device)
    loaders = ('val', 'test') if args.test else ('val',)
    calibration = calibrate(model, cfg, loaders)
    write_with_meta(args.checkpoint, out, META_KEY, calibration.temperature)
    classes = model.dataset_meta['classes'][1:]
    for name, value in zip(classes, calibration.temperature):
        print(f'{name}: temperature {value:.3f}')
    print(
        f'fitted on {calibration.images} validation images of '
        f'{", ".join(calibration.sites)}\n\n{calibration_text(calibration)}\n\n{out}'
    )
    for name, value in zip(classes, calibration.temperature):
        if note := limit_note(name, value):
            print(f'warning: {note}', file=sys.stderr)
    tested = site_names(cfg.test_dataloader) if args.test else []
    if note := trained_on_note(model.trained_sites, tested, args.checkpoint):
        print(f'note: {note}', file=sys.stderr)


def calibration_text(calibration: Calibration) -> str:
    """Scores before and after, in per cent, one row per site.

    Args:
        calibration: From :func:`~mcdrl_lab.results.temperature_fit.calibrate`.
    """
    import pandas as pd

    from .text_cells import percent_change

    rows, names = [], []
    for loader, scores in calibration.scores.items():
        before, after = scores['before'], scores['after']
        scopes = [name[:-4] for name in before if name.endswith('/ECE')]
        for scope in scopes:
            cells = {
                key: percent_change(before[f'{scope}/{key}'], after[f'{scope}/{key}'])
                for key in _SHOWN
            }
            place = scope.removeprefix('site/').replace('site_mean', 'mean of sites')
            names.append(f'{loader}, {place}')
            rows.append(cells)
    return pd.DataFrame(rows, index=names).to_string()
