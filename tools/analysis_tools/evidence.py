"""Keep the records of finished plans, and write the page of results from them."""

import argparse
from pathlib import Path

from mcdrl_lab.plans.plan_command import run_tool
from mcdrl_lab.results.evidence import EvidencePage, write_compact
from mcdrl_lab.results.plan_tables import load_records


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='Example: python tools/analysis_tools/evidence.py keep '
        'work_dirs/ablation/endosim_evidence '
        '--out docs/evidence/endosim_spurious-1.jsonl.gz',
    )
    commands = parser.add_subparsers(dest='command', required=True)
    keep = commands.add_parser(
        'keep', help='write a compact copy of the records of finished plans'
    )
    keep.add_argument('plan', type=Path, nargs='+', help='folder of a plan')
    keep.add_argument('--out', type=Path, required=True, help='file NAME.jsonl.gz')
    write = commands.add_parser(
        'write', help='write tables and figures of the page again'
    )
    write.add_argument(
        '--page',
        type=Path,
        default=Path('docs/evidence.md'),
        help='default: docs/evidence.md; records lie in the folder evidence beside it',
    )
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    if args.command == 'write':
        EvidencePage(args.page).write()
        print(args.page)
        return 0
    records = [record for plan in args.plan for record in load_records(plan)]
    count = write_compact(records, args.out)
    print(f'{args.out}: {count} runs, {args.out.stat().st_size / 1024:.0f} KiB')
    return 0


if __name__ == '__main__':
    run_tool(main)
