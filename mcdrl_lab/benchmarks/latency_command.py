"""Time a forward pass of every variant of an ablation plan, and count parameters."""

from __future__ import annotations

import argparse

from mcdrl_lab.errors import ends_in_one_line
from mcdrl_lab.shared_arguments import add_plan_file, file_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab latency configs/ablation_plans/endosim_depth.yml '
        '--out latency.jsonl'
    )
    add_plan_file(parser)
    parser.add_argument(
        '--size',
        type=int,
        default=128,
        help='height and width of the image in pixels (default: 128)',
    )
    parser.add_argument(
        '--rounds',
        type=int,
        default=100,
        help='timed passes of each variant (default: 100)',
    )
    parser.add_argument(
        '--threads', type=int, default=1, help='number of torch threads (default: 1)'
    )
    parser.add_argument(
        '--device', default='cpu', help='torch device, e.g. cuda:0 (default: cpu)'
    )
    parser.add_argument(
        '--out',
        type=file_name('.jsonl'),
        help='JSON Lines file to append the results to',
    )


@ends_in_one_line
def run(args: argparse.Namespace) -> None:
    """Print one row per variant; append the rows to a file if asked for."""
    import json

    import pandas as pd

    import mcdrl_mmseg  # noqa: F401  (registers the components)
    from mcdrl_lab.plans.ablation import load_ablation
    from mcdrl_lab.plans.json_lines import append_line, read_lines

    from .plan_latency import measure_latency

    if args.out:
        # Fail before measuring if the file holds something else.
        read_lines(args.out)
    records = measure_latency(
        load_ablation(args.plan, args.config, args.trust),
        args.size,
        args.rounds,
        args.threads,
        args.device,
    )
    shown = pd.DataFrame(records).drop(columns='model_hash', errors='ignore')
    print(shown.to_string(index=False))
    if args.out:
        for record in records:
            append_line(args.out, json.dumps(dict(plan=args.plan.name) | record))
