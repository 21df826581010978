"""Measure how far trained models depend on confounders, on paired scenes of EndoSim.

Each scene of the held-out site is drawn without and with each of the twelve
confounders. Measured are the agreement and the quality of the predictions, and how well
a linear classifier predicts site, confounders and lesion from the features before (F)
and after (F_ca) the intervention. Models already in the output are skipped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mcdrl_lab.errors import ends_in_one_line
from mcdrl_lab.shared_arguments import add_device, file_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab invariance work_dirs/ablation/endosim_evidence '
        '--data data/endosim --methods full baseline --out work_dirs/invariance.jsonl'
    )
    parser.add_argument(
        'plan', type=Path, help='folder of a plan, with METHOD/SITE/seedN/best_*.pth'
    )
    parser.add_argument(
        '--data',
        type=Path,
        required=True,
        help='EndoSim data set that the plan was run on',
    )
    parser.add_argument(
        '--out',
        type=file_name('.jsonl'),
        required=True,
        help='JSON Lines file to append one record per model to',
    )
    parser.add_argument(
        '--methods', nargs='+', help='measure only these methods (default: all)'
    )
    parser.add_argument(
        '--seeds', nargs='+', type=int, help='measure only these seeds (default: all)'
    )
    parser.add_argument(
        '--scenes', type=int, default=40, help='scenes per site (default: 40)'
    )
    parser.add_argument(
        '--probe-scenes',
        type=int,
        default=400,
        help='scenes per linear probe; 0 for no probes (default: 400)',
    )
    add_device(parser)


@ends_in_one_line
def run(args: argparse.Namespace) -> None:
    """Measure the models that the output lacks, and print its tables."""
    from .invariance_runs import find_runs, measure_runs
    from .invariance_tables import confounder_table, invariance_table, read_invariance

    runs = find_runs(args.plan, args.methods, args.seeds)
    for record in measure_runs(
        runs, args.data, args.out, args.scenes, args.probe_scenes, args.device
    ):
        print(f'{record.method} {record.held_out} seed {record.seed}', flush=True)
    records = read_invariance(args.out)
    print(invariance_table(records))
    for method in dict.fromkeys(record.method for record in records):
        print(f'{method}\n\n{confounder_table(records, method)}')
