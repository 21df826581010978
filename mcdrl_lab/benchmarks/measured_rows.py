"""Printing and writing of measured rows."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from mcdrl_common.atomic_write import write_text
from mcdrl_common.written_files import WrittenFiles


def show_rows(
    rows: Sequence[Mapping[str, Any]],
    form: str,
    out: Path | None,
    made_of: Sequence[str],
    **where: Any,
) -> None:
    """Print rows and their settings, and write both if asked for.

    Args:
        rows: What was measured.
        form: Format of numbers, as ``'%.1f'``.
        out: JSON file to write, or None.
        made_of: What identifies the file, see :class:`WrittenFiles`.
        **where: Settings; machine and version of PyTorch are added.
    """
    print(pd.DataFrame(rows).to_string(index=False, float_format=form))
    where |= dict(machine=platform.machine(), torch=torch.__version__)
    print(', '.join(f'{name} {value}' for name, value in where.items()))
    if out:
        write_text(out, json.dumps(dict(where=where, rows=rows), indent=2))
        WrittenFiles(out.parent).add(out, made_of)
