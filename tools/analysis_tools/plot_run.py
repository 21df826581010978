"""Draw the curves of training runs from their work folders, and list validations."""

import argparse
import sys
from pathlib import Path

from mcdrl_lab.results.run_curves import read_run_logs, write_run_curves
from mcdrl_lab.results.run_log import HEADLINE, validation_table


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=f'{__doc__} Shows the losses one by one, gate, learning rate and '
        'the validation with its best epoch. All starts of a resumed run are joined.',
        epilog='Example: python tools/analysis_tools/plot_run.py work_dirs/real_demo '
        '--out curves.png',
    )
    parser.add_argument(
        'work_dir', nargs='+', type=Path, help='work folder; several are overlaid'
    )
    parser.add_argument(
        '--out',
        type=Path,
        help='picture to write; its ending says the format (default: curves.png in '
        'the first work folder)',
    )
    parser.add_argument(
        '--metric',
        default=HEADLINE,
        help=f'validation metric to draw (default: {HEADLINE})',
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        path = write_run_curves(args.work_dir, args.out, args.metric)
        table = validation_table(read_run_logs(args.work_dir), args.metric)
    except (ValueError, OSError) as error:
        sys.exit(f'plot_run: {error}')
    print(table.round(4).to_string())
    print(path)


if __name__ == '__main__':
    main()
