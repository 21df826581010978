"""Compare one method with others, paired by image and by seed.

Shows differences with 95 % bootstrap intervals and Wilcoxon tests with Holm's
correction. Runs that differ in data or budget are not compared.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mcdrl_lab.errors import ends_in_one_line

from .image_metrics import IMAGE_METRICS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab compare work_dirs/loso/records.jsonl mcdrl '
        'baseline --out work_dirs/loso'
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


@ends_in_one_line
def run(args: argparse.Namespace) -> None:
    """Print the comparisons, and write them where asked for."""
    from .comparison import compare
    from .comparison_tables import comparison_markdown
    from .plan_records import load_records

    selection = 'oracle' if args.oracle else 'validation'
    comparisons = compare(
        load_records(args.records), args.a, args.b, args.metric, selection=selection
    )
    print('\n'.join(map(comparison_markdown, comparisons)))
    if args.out:
        # It draws, and Matplotlib takes as long to import as all else.
        from .comparison_files import write_comparisons

        for path in write_comparisons(comparisons, args.out):
            print(path)
