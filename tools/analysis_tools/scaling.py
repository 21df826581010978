"""Time training steps on one and on several processes of this machine."""

import argparse
import json
import platform
from pathlib import Path

import pandas as pd
import torch

import mcdrl_mmseg  # noqa: F401  (registers the components)
from mcdrl_common.atomic_write import write_text
from mcdrl_lab.benchmarks.scaling import measure_scaling


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=f'{__doc__} Every process has the same number of images, of noise, '
        'and one thread; what the processes send each other is counted.',
        epilog='Example: python tools/analysis_tools/scaling.py CONFIG --size 128',
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--processes', type=int, nargs='+', default=[1, 2], help='(default: 1 2)'
    )
    parser.add_argument(
        '--batch-size', type=int, default=4, help='images a process (default: 4)'
    )
    parser.add_argument('--size', type=int, default=128, help='pixels (default: 128)')
    parser.add_argument('--steps', type=int, default=20, help='(default: 20)')
    parser.add_argument(
        '--repeats', type=int, default=2, help='starts of each (default: 2)'
    )
    parser.add_argument('--out', type=Path, help='JSON file to write')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    rows = measure_scaling(
        args.config,
        args.processes,
        args.batch_size,
        args.size,
        args.steps,
        args.repeats,
    )
    print(pd.DataFrame(rows).to_string(index=False, float_format='%.1f'))
    where = dict(
        config=Path(args.config).name,
        batch_size=args.batch_size,
        size=args.size,
        machine=platform.machine(),
        torch=torch.__version__,
    )
    print(', '.join(f'{name} {value}' for name, value in where.items()))
    if args.out:
        write_text(args.out, json.dumps(dict(where=where, rows=rows), indent=2))


if __name__ == '__main__':
    main()
