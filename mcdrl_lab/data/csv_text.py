"""Tables of rows as the text of a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Mapping
from typing import Any


def csv_text(columns: Collection[str], rows: Iterable[Mapping[str, Any]]) -> str:
    r"""A CSV file's content, with ``\n`` as line ending on every system.

    :func:`~mcdrl_common.image_index.read_table` reads it again.

    Args:
        columns: Names of the columns, in their order.
        rows: A value for each column.

    Raises:
        ValueError: A row has a value for an unknown column.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
