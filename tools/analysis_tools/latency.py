"""Time a forward pass of every variant of an ablation plan, and count parameters."""

import argparse
import json
from pathlib import Path

import pandas as pd

import mcdrl_mmseg  # noqa: F401  (registers the components)
from mcdrl_lab.benchmarks.latency import measure_latency
from mcdrl_lab.plans.ablation import load_ablation
from mcdrl_lab.plans.json_lines import append_line
from mcdrl_lab.plans.plan_command import run_tool


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='Example: python tools/analysis_tools/latency.py '
        'configs/ablation_plans/endosim_depth.yml --out latency.jsonl',
    )
    parser.add_argument('plan', type=Path, help='ablation plan (YAML)')
    parser.add_argument('--config', help="config to use instead of the plan's own")
    parser.add_argument('--size', type=int, default=128, help='pixels (default: 128)')
    parser.add_argument(
        '--rounds', type=int, default=100, help='passes of each (default: 100)'
    )
    parser.add_argument('--threads', type=int, default=1, help='of torch (default: 1)')
    parser.add_argument('--device', default='cpu', help='as cuda:0 (default: cpu)')
    parser.add_argument('--out', type=Path, help='file of JSON lines to append to')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    records = measure_latency(
        load_ablation(args.plan, args.config),
        args.size,
        args.rounds,
        args.threads,
        args.device,
    )
    print(pd.DataFrame(records).to_string(index=False))
    if args.out:
        for record in records:
            append_line(args.out, json.dumps(record))
    return 0


if __name__ == '__main__':
    run_tool(main)
