"""The records of a plan, from its folder."""

from __future__ import annotations

import os
from pathlib import Path

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import RECORDS_NAME, RunRecord, read_latest


def load_records(path: str | os.PathLike) -> list[RunRecord]:
    """Read the latest record of every run.

    Args:
        path: A ``records.jsonl`` or the folder that holds it.

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
