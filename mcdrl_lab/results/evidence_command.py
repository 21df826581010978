"""Store compact records of finished plans, and write the result pages from them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mcdrl_lab.errors import ProtocolError, ends_in_one_line
from mcdrl_lab.shared_arguments import file_name

if TYPE_CHECKING:
    from mcdrl_lab.plans.records import RunRecord


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab evidence keep '
        'work_dirs/ablation/endosim_evidence '
        '--out docs/evidence/endosim_spurious-1.jsonl.gz'
    )
    commands = parser.add_subparsers(dest='action', required=True)
    keep = commands.add_parser(
        'keep', help='write a compact copy of the records of finished plans'
    )
    keep.add_argument('plan', type=Path, nargs='+', help='folder of a plan')
    keep.add_argument(
        '--out',
        type=file_name('.jsonl.gz'),
        required=True,
        help='file to write, NAME.jsonl.gz',
    )
    keep.add_argument(
        '--overwrite',
        action='store_true',
        help='replace an existing file even if it has runs that these plans lack, or '
        'runs with other settings',
    )
    write = commands.add_parser('write', help='rewrite tables and figures of the pages')
    write.add_argument(
        '--page',
        type=Path,
        nargs='+',
        help='pages to update (default: docs/evidence*.md); records are read from the '
        'folder evidence beside each page',
    )


@ends_in_one_line
def run(args: argparse.Namespace) -> None:
    """Store records, or write the pages."""
    if args.action == 'write':
        from .evidence.evidence_page import EvidencePage

        pages = args.page or sorted(Path('docs').glob('evidence*.md'))
        if not pages:
            raise ProtocolError(
                'there is no docs/evidence*.md here: set --page to the page to write.'
            )
        for page in pages:
            EvidencePage(page).write()
            print(page)
        return
    from .evidence.compact_records import check_replaceable, write_compact
    from .plan_records import load_records

    plans = {str(plan): load_records(plan) for plan in args.plan}
    for note in _joined_unlike(plans):
        print(note, file=sys.stderr)
    records = [record for own in plans.values() for record in own]
    if not args.overwrite:
        check_replaceable(records, args.out)
    count = write_compact(records, args.out)
    print(f'{args.out}: {count} runs, {args.out.stat().st_size / 1024:.0f} KiB')


def _joined_unlike(plans: Mapping[str, Sequence[RunRecord]]) -> Iterator[str]:
    """Notes on methods whose runs differ between plans, as they share one table row.

    This may be intended, for example if each held-out site has its own data.
    """
    from mcdrl_lab.plans.records import unlike

    firsts: dict[str, tuple[str, RunRecord]] = {}
    said = set()
    for plan, records in plans.items():
        for record in records:
            first, known = firsts.setdefault(record.method, (plan, record))
            differing = unlike(known, record)
            if differing and (record.method, plan) not in said:
                said.add((record.method, plan))
                yield (
                    f'note: {record.method} in {first} and in {plan} differ in '
                    f'{", ".join(differing)}; they are stored as runs of one method.'
                )
