"""Compare one method with others, paired by image and by seed."""

import argparse
from pathlib import Path

from mcdrl_lab.plans.plan_command import run_tool
from mcdrl_lab.results.comparison import compare, comparison_markdown
from mcdrl_lab.results.plan_tables import load_records, write_comparisons
from mcdrl_lab.results.scores import IMAGE_METRICS


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=f'{__doc__} Shows differences with 95 %% bootstrap intervals and '
        "Wilcoxon tests with Holm's correction. Runs that differ in data or budget are "
        'not compared.',
        epilog='Example: python tools/compare.py work_dirs/loso/records.jsonl mcdrl '
        'baseline --out work_dirs/loso',
    )
    parser.add_argument('records', type=Path, help='records.jsonl, or its folder')
    parser.add_argument('a', metavar='A', help='method in question')
    parser.add_argument(
        'b', metavar='B', nargs='+', help='methods it is measured against'
    )
    parser.add_argument(
        '--metric', choices=IMAGE_METRICS, default='dice', help='default: dice'
    )
    parser.add_argument(
        '--oracle',
        action='store_true',
        help='compare the runs whose checkpoints were chosen on the test site',
    )
    parser.add_argument(
        '--out', type=Path, help='folder for the result as Markdown, CSV and plots'
    )
    return parser.parse_args()


def main() -> int:
    """Run the tool; returns its exit code."""
    args = parse_args()
    selection = 'oracle' if args.oracle else 'validation'
    comparisons = compare(
        load_records(args.records), args.a, args.b, args.metric, selection=selection
    )
    print('\n'.join(map(comparison_markdown, comparisons)))
    if args.out:
        for path in write_comparisons(comparisons, args.out):
            print(path)
    return 0


if __name__ == '__main__':
    run_tool(main)
