"""Merge plans that were run separately: shards of seeds, sites or methods."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mcdrl_common.folder_argument import folder_name
from mcdrl_lab.errors import ProtocolError, ends_in_one_line
from mcdrl_lab.shared_arguments import add_metrics

if TYPE_CHECKING:
    from .records import RunRecord


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab plan-merge shard_a shard_b --out whole'
    )
    parser.add_argument(
        'folders',
        nargs='+',
        type=Path,
        metavar='PLAN',
        help='folders of the plans to merge',
    )
    parser.add_argument(
        '--out',
        type=folder_name,
        required=True,
        help='new folder for the merged records and the tables',
    )
    add_metrics(parser)


@ends_in_one_line
def run(args: argparse.Namespace) -> None:
    """Merge the records, or say why that is not possible."""
    from mcdrl_common.atomic_write import write_text

    from .plan_command import show_report
    from .records import RECORDS_NAME, read_latest

    target = args.out / RECORDS_NAME
    if target.exists():
        raise ProtocolError(f'{target} already exists: choose another folder.')
    shards, places = {}, {}
    for folder in args.folders:
        path = folder / RECORDS_NAME if folder.is_dir() else folder
        shards[str(folder)] = read_latest(path)
        places[str(folder)] = path.parent
        if not shards[str(folder)]:
            raise ProtocolError(f'{path} does not exist or has no records.')
    check_groups(shards, places)
    records = merge(shards)
    args.out.mkdir(parents=True, exist_ok=True)
    write_text(target, ''.join(f'{record.to_json()}\n' for record in records))
    print(f'{len(records)} records of {len(shards)} plans.')
    show_report(args.out, args.metrics)


def check_groups(
    shards: Mapping[str, Sequence[RunRecord]], places: Mapping[str, Path]
) -> None:
    """Refuse plans whose data were split by different ``index.csv`` files.

    Run folders note the sequences and patients; runs without this note are not checked.

    Args:
        shards: Name of a plan -> its records.
        places: Name of a plan -> folder of its runs.

    Raises:
        ProtocolError: The splits differ; names a run of each plan.
    """
    from .prepared import noted_groups

    known: dict[str, tuple[str, str, str]] = {}
    for shard, records in shards.items():
        for files, (run, groups) in noted_groups(records, places[shard]).items():
            first, other, before = known.setdefault(files, (shard, run, groups))
            if groups != before:
                raise ProtocolError(
                    f'{other} in {first} and {run} in {shard} use the same files, but '
                    'index.csv listed other sequences or patients for one of them. '
                    'They were trained and validated on different images, and are not '
                    'shards of the same plan.'
                )


def merge(shards: Mapping[str, Sequence[RunRecord]]) -> list[RunRecord]:
    """Merge the records of plans whose methods were trained in the same way.

    If two plans have the same run, its configs must be equal. If they have the same
    method with other seeds or sites, its budget, data and settings must be equal. For
    older records, which have no hash of the settings, the config's path is compared.

    Args:
        shards: Name of a plan -> its records.

    Returns:
        The records in order, each run once.

    Raises:
        ProtocolError: Plans differ; names two of them and the difference.
    """
    from mcdrl_lab.results.comparable import check_images

    runs: dict[tuple, tuple[str, RunRecord]] = {}
    methods: dict[str, tuple[str, RunRecord]] = {}
    for shard, records in shards.items():
        for record in records:
            first, known = methods.setdefault(record.method, (shard, record))
            _check_alike(first, known, shard, record)
            if not known.method_hash:
                # Compare later records with one that has the hash, if any.
                methods[record.method] = (shard, record)
            first, same = runs.setdefault(record.key, (shard, record))
            if same is record:
                continue
            if same.config_hash != record.config_hash:
                raise ProtocolError(
                    f'{_named(record)} was trained with different settings in {first} '
                    f'(hash {same.config_hash[:12]}) and in {shard} '
                    f'({record.config_hash[:12]}): rename one of the methods.'
                )
            if same.status == 'failed':
                runs[record.key] = (shard, record)
            elif record.status == 'done' and record != same:
                print(
                    f'{_named(record)} is finished in {first} and in {shard}: the '
                    f'record in {first} is used.'
                )
    records = [record for _, record in runs.values()]
    for method in methods:
        # Finds differences that the data hash misses: edited masks, another index.
        own = [r for r in records if (r.method, r.status) == (method, 'done')]
        check_images(own)
    return records


def _check_alike(first: str, a: RunRecord, second: str, b: RunRecord) -> None:
    from .records import unlike

    differing = []
    # The same config has different paths from different folders. If both records have
    # hashes of the settings, those are compared instead.
    if a.config != b.config and not (a.method_hash and b.method_hash):
        differing.append(f'config ({a.config} and {b.config})')
    differing += unlike(a, b)
    if differing:
        raise ProtocolError(
            f'{a.method} in {first} and in {second} differ in {", ".join(differing)}: '
            'they are not shards of the same plan.'
        )


def _named(record: RunRecord) -> str:
    return f'{record.method}/{record.held_out}/seed{record.seed}'
