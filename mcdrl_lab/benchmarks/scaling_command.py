"""Time training steps on one and on several processes of this machine.

Every process trains on the same number of noise images, with one thread. The bytes that
processes send each other are counted.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mcdrl_lab.errors import errors_in_one_line
from mcdrl_lab.shared_arguments import add_overwrite, file_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = 'Example: python -m mcdrl_lab scaling CONFIG --size 128'
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--processes',
        type=int,
        nargs='+',
        default=[1, 2],
        help='numbers of processes to compare (default: 1 2)',
    )
    parser.add_argument(
        '--batch-size', type=int, default=4, help='images per process (default: 4)'
    )
    parser.add_argument(
        '--size',
        type=int,
        default=128,
        help='height and width of the images in pixels (default: 128)',
    )
    parser.add_argument(
        '--steps', type=int, default=20, help='timed steps per start (default: 20)'
    )
    parser.add_argument(
        '--repeats',
        type=int,
        default=2,
        help='starts for each number of processes (default: 2)',
    )
    parser.add_argument('--out', type=file_name('.json'), help='JSON file to write')
    add_overwrite(parser)


@errors_in_one_line(FileNotFoundError)
def run(args: argparse.Namespace) -> None:
    """Print one row per number of processes; write the rows if asked for."""
    from mcdrl_common.written_files import check_renewable, places

    from .measured_rows import show_rows
    from .scaling import measure_scaling

    made_of = [
        'scaling',
        *places(args.config),
        f'--batch-size {args.batch_size}',
        f'--size {args.size}',
        *(f'--processes {count}' for count in args.processes),
    ]
    if args.out:
        check_renewable([args.out], [Path(args.config)], made_of, args.overwrite)
    rows = measure_scaling(
        args.config,
        args.processes,
        args.batch_size,
        args.size,
        args.steps,
        args.repeats,
    )
    name = Path(args.config).name
    setting = dict(config=name, batch_size=args.batch_size, size=args.size)
    show_rows(rows, '%.1f', args.out, made_of, **setting)
