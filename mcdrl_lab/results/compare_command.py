"""Compare one method with others, paired by image and by seed.

Shows differences with 95 % bootstrap intervals and Wilcoxon tests with Holm's
correction. Runs that differ in data or training budget are not compared.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcdrl_common.folder_argument import folder_name
from mcdrl_lab.errors import ends_in_one_line
from mcdrl_lab.shared_arguments import add_records

from .image_metrics import IMAGE_METRICS

if TYPE_CHECKING:
    from mcdrl_lab.plans.records import RunRecord

    from .comparison_tables import ComparisonFiles


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab compare work_dirs/loso/records.jsonl mcdrl '
        'baseline --out work_dirs/loso'
    )
    add_records(parser)
    parser.add_argument('a', metavar='A', help='method to compare')
    parser.add_argument('b', metavar='B', nargs='+', help='methods to compare it with')
    parser.add_argument(
        '--metric',
        choices=IMAGE_METRICS,
        default='dice',
        help='metric to compare (default: dice)',
    )
    parser.add_argument(
        '--by-lesion-class',
        action='store_true',
        help='compare separately on the images with a lesion of each class',
    )
    parser.add_argument(
        '--oracle',
        action='store_true',
        help='compare the runs whose checkpoints were chosen on the held-out site',
    )
    parser.add_argument(
        '--out',
        type=folder_name,
        help='folder for the result as Markdown, CSV and plots; file names say what '
        'is compared',
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace a comparison that has the same names but was made from other '
        'runs',
    )


@ends_in_one_line
def run(args: argparse.Namespace) -> None:
    """Print the comparisons, and write them if ``--out`` is given."""
    from .comparison import compare
    from .comparison_tables import comparison_markdown, write_comparisons
    from .plan_records import load_records

    selection = 'oracle' if args.oracle else 'validation'
    records = load_records(args.records)
    files = _files(records, selection, args) if args.out else None
    if args.by_lesion_class:
        _by_lesion_class(records, selection, args, files)
        return
    comparisons = compare(records, args.a, args.b, args.metric, selection=selection)
    print('\n'.join(map(comparison_markdown, comparisons)))
    if files:
        print(*write_comparisons(comparisons, files), sep='\n')


def _files(
    records: Sequence[RunRecord], selection: str, args: argparse.Namespace
) -> ComparisonFiles:
    """The files to write; checks that they may be written before the computation."""
    from .comparison_tables import ComparisonFiles, describe_runs

    files = ComparisonFiles(
        args.out,
        args.a,
        args.b,
        args.metric,
        selection,
        describe_runs(records, [args.a, *args.b], selection),
        '_by_lesion_class' if args.by_lesion_class else '',
        pictures=not args.by_lesion_class,
    )
    files.check_replaceable(args.overwrite)
    return files


def _by_lesion_class(
    records: Sequence[RunRecord],
    selection: str,
    args: argparse.Namespace,
    files: ComparisonFiles | None,
) -> None:
    """Print the comparisons by lesion class, and write them if ``--out`` is given."""
    from .comparison_tables import lesion_class_markdown, lesion_class_table
    from .lesion_classes import compare_by_lesion_class

    found = compare_by_lesion_class(
        records, args.a, args.b, args.metric, selection=selection
    )
    text = lesion_class_markdown(found)
    print(text)
    if files:
        print(*files.write(text, lesion_class_table(found)), sep='\n')
