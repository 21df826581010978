"""The index of all converted images: one CSV row per image, all sites in one file."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from mcdrl_common.image_index import ImageIndexError, read_table
from mcdrl_lab.errors import ConversionError

from .csv_text import csv_text

_SHOWN = 3

COLUMNS = (
    'site',
    'image',
    'mask',
    'sequence',
    'patient',
    'classes',
    'foreground',
    'height',
    'width',
    'source_image',
    'source_mask',
)
"""Columns of the index.

``image`` and ``mask`` are paths relative to the index, ``classes`` the lesion classes
in the image with semicolons between them, ``foreground`` the share of lesion pixels,
``source_image`` and ``source_mask`` paths in the downloaded data set. Unknown values
are empty.
"""


def read_index(path: str | os.PathLike) -> list[dict[str, str]]:
    """Read an index.

    Args:
        path: The file.

    Returns:
        One dict per image, in the order of the file. Columns other than ``COLUMNS`` are
        kept.

    Raises:
        ConversionError: Not a CSV file with all columns, or a row of another length.
    """
    path = Path(path)
    try:
        columns, rows = read_table(path)
    except (OSError, ImageIndexError) as error:
        raise ConversionError(str(error)) from None
    missing = [column for column in COLUMNS if column not in columns]
    if missing:
        raise ConversionError(
            f'{path}: columns {missing} are missing; is it another file?'
        )
    return rows


BY_HAND = ('sequence', 'patient')
"""Columns that a user may fill in where a converter left them empty."""


def merge_rows(
    rows: Sequence[Mapping[str, str]],
    site: str,
    new: Sequence[Mapping[str, str]],
    changed: Collection[str] = (),
) -> list[dict[str, str]]:
    """Replace a site's rows.

    Args:
        rows: Rows of all sites.
        site: The site.
        new: Its rows.
        changed: Its images that changed, or whose masks changed.

    Returns:
        All rows, sites in alphabetical order, otherwise in their old order. For
        unchanged images, the user's own columns and values filled in for
        :data:`BY_HAND` are kept; for the others they are empty.
    """
    known = {
        row['image']: row
        for row in rows
        if row['site'] == site and row['image'] not in changed
    }
    merged = [row for row in rows if row['site'] != site]
    for row in new:
        before = known.get(row['image'], {})
        filled = {c: before[c] for c in BY_HAND if before.get(c) and not row[c]}
        merged.append({**before, **row, **filled})
    columns = list(dict.fromkeys((*COLUMNS, *(c for row in merged for c in row))))
    merged.sort(key=lambda row: row['site'])
    return [{column: row.get(column, '') for column in columns} for row in merged]


def dropped_values(
    rows: Sequence[Mapping[str, str]], merged: Sequence[Mapping[str, str]], site: str
) -> list[str]:
    """Values filled in by the user that a site's rows lost.

    Args:
        rows: Rows before.
        merged: Rows after.
        site: The site.

    Returns:
        One line per column, with the number of images and the first of them.
    """
    after = {row['image']: row for row in merged if row['site'] == site}
    lines = []
    own = [row for row in rows if row['site'] == site]
    for column in dict.fromkeys(c for row in own for c in row):
        if column in COLUMNS and column not in BY_HAND:
            continue
        gone = [
            f'{row["image"]} ({row[column]})'
            for row in own
            if row[column] and after.get(row['image'], {}).get(column) != row[column]
        ]
        if gone:
            more = ', ...' if len(gone) > _SHOWN else ''
            shown = ', '.join(gone[:_SHOWN])
            lines.append(f'{column} of {len(gone)} images: {shown}{more}')
    return lines


def index_text(rows: Sequence[Mapping[str, str]]) -> str:
    """The file's content.

    Args:
        rows: Rows with the same columns in the same order.
    """
    return csv_text(rows[0] if rows else COLUMNS, rows)
