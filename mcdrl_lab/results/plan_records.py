"""Reads the records of a plan from its folder."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.hashing import data_hash, list_files
from mcdrl_lab.plans.records import RECORDS_NAME, RunRecord, read_latest


def load_records(path: str | os.PathLike) -> list[RunRecord]:
    """Read the latest record of every run.

    Args:
        path: A ``records.jsonl`` or its folder.

    Raises:
        ProtocolError: There is no such file, or no finished run in it.
    """
    path = Path(path)
    if path.is_dir():
        path = path / RECORDS_NAME
    if not path.is_file():
        raise ProtocolError(
            f'no records in {path}: run python -m mcdrl_lab leave-one-site-out first.'
        )
    records = read_latest(path)
    if not any(record.status == 'done' for record in records):
        raise ProtocolError(f'{path} holds no finished run yet.')
    return records


def warn_of_other_data(runs: Sequence[RunRecord], method: str, root: Path) -> None:
    """Warn if the files in a folder may differ from those that a method was tested on.

    Args:
        runs: Finished runs of a plan.
        method: One of its methods. Records without a data hash are ignored.
        root: Folder of the sites.
    """
    told = {run.data_hash for run in runs if run.method == method} - {''}
    tested = {run.held_out for run in runs}
    # The data hash covers all sites of the plan, even if only some were held out.
    every = {path.name for path in root.iterdir() if path.is_dir()}
    if not told <= {data_hash(list_files(root, sites)) for sites in (tested, every)}:
        warnings.warn(
            f'{root}: these may not be the files that {method!r} was tested on, since '
            'the hash of their names and sizes differs from that in the records. '
            'Check that --data-root is not another data set with sites of these names.',
            stacklevel=3,
        )
