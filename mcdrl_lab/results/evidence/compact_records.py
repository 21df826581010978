"""Run records small enough to be committed."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from mcdrl_common.atomic_write import write_bytes
from mcdrl_common.metric_names import CONFIDENCES
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import RunRecord, read_records
from mcdrl_lab.results.scores import done

# Entries of an image that tables and comparisons of these metrics need.
_IMAGE_KEYS = ('image', 'sequence', 'has_lesion')
_CLASSES = 'lesion_classes'
_METRICS = ('dice', 'iou', 'false_positive', *CONFIDENCES)
_DIGITS = 4


def compact(record: RunRecord) -> RunRecord:
    """Reduce a record to what tables and comparisons need.

    Args:
        record: A run's record.

    Returns:
        The record without summary values by site or lesion type. For each image it
        keeps only name, sequence, lesion classes, whether it has a lesion, Dice, IoU,
        false positive and the network's confidence.
    """
    images = [
        {
            **{key: image[key] for key in _IMAGE_KEYS},
            # Missing for images without lesion and in older compact records.
            **({_CLASSES: image[_CLASSES]} if image.get(_CLASSES) else {}),
            **{
                key: _rounded(image[key])
                for key in _METRICS
                # Older records have no confidences.
                if image.get(key) is not None
            },
        }
        for image in record.images
    ]
    metrics = {name: value for name, value in record.metrics.items() if '/' not in name}
    return replace(record, images=images, metrics=metrics)


def _rounded(value: float | bool) -> float | bool:
    return value if isinstance(value, bool) else round(value, _DIGITS)


def check_replaceable(records: Iterable[RunRecord], path: str | os.PathLike) -> None:
    """Refuse to lose stored records, whose plan may no longer exist.

    Args:
        records: The new records.
        path: An earlier file of :func:`write_compact`; it need not exist.

    Raises:
        ProtocolError: The file has runs that the new records lack, or is no such file.
    """

    def trained(record: RunRecord) -> tuple:
        return record.key, record.config_hash, record.data_hash

    new = set(map(trained, done(records)))
    lost = [record for record in read_records(path) if trained(record) not in new]
    if lost:
        first = lost[0].folder
        raise ProtocolError(
            f'{path} has {len(lost)} runs, such as {first}, that these plans lack or '
            'have with other settings or data: choose another --out, add the plan of '
            'these runs, or replace them with --overwrite.'
        )


def write_compact(records: Iterable[RunRecord], path: str | os.PathLike) -> int:
    """Write the finished runs among the records to a compressed file.

    Equal records give identical files.

    Args:
        records: Run records.
        path: File whose name ends in ``.jsonl.gz``; replaced if it exists.

    Returns:
        Number of runs.

    Raises:
        ProtocolError: Another ending, no finished run, or two different records of the
            same run.
    """
    path = Path(path)
    if not path.name.endswith('.jsonl.gz'):
        raise ProtocolError(
            f'{path}: the name of a compact file must end in .jsonl.gz.'
        )
    finished = done(records)
    if not finished:
        raise ProtocolError(f'there is no finished run to write to {path}.')
    by_key: dict[tuple, RunRecord] = {}
    for record in finished:
        if record.key in by_key and by_key[record.key] != record:
            raise ProtocolError(
                f'{record.method}, {record.held_out}, seed {record.seed} appears twice '
                f'in the records, with different results: {path} can store only one of '
                'them. Leave out one of the plans.'
            )
        by_key[record.key] = record
    lines = [compact(by_key[key]).to_json() for key in sorted(by_key)]
    content = ''.join(f'{line}\n' for line in lines).encode()
    write_bytes(path, gzip.compress(content, mtime=0))
    return len(lines)
