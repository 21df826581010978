"""Draw the curves of training runs from their work folders, and list validations.

Shows each loss, the gate, the learning rate and the validation with its best epoch. All
starts of a resumed run are joined.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mcdrl_common.metric_names import HEADLINE
from mcdrl_lab.errors import errors_in_one_line
from mcdrl_lab.shared_arguments import add_overwrite


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab plot-run work_dirs/real_demo/runs/mcdrl/*/seed0 '
        '--out curves.png'
    )
    parser.add_argument(
        'work_dir',
        nargs='+',
        type=Path,
        help='work folder of a training run; several runs are overlaid',
    )
    parser.add_argument(
        '--out',
        type=Path,
        help='image file to write, in the format of its extension (default: '
        'curves.png in the first work folder)',
    )
    add_overwrite(parser)
    parser.add_argument(
        '--metric',
        default=HEADLINE,
        help=f'validation metric to draw (default: {HEADLINE})',
    )


@errors_in_one_line(ValueError, OSError)
def run(args: argparse.Namespace) -> None:
    """Write the figure and print the validations."""
    from mcdrl_common.figure_files import write_figure
    from mcdrl_common.written_files import WrittenFiles, check_renewable, places

    from .image_metrics import scale_of
    from .run_curves import read_run_logs, run_curves
    from .run_log import validation_table

    path = args.out or args.work_dir[0] / 'curves.png'
    made_of = ['plot-run', *places(*args.work_dir), f'--metric {args.metric}']
    check_renewable([path], [], made_of, args.overwrite)
    logs = read_run_logs(args.work_dir)
    write_figure(run_curves(logs, args.metric), path)
    WrittenFiles(path.parent).add(path, made_of)
    table, scale = validation_table(logs, args.metric), scale_of(args.metric)
    table[['first', 'best']] *= scale
    print(f'validation {args.metric}{" (%)" if scale == 100 else ""}')
    print(table.round(4).to_string())
    print(path)
