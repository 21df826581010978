"""Numbers as the text of table cells, and tables of text as Markdown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from .statistics import Interval

# An en dash, as in printed tables.
MISSING = '\u2013'


def number(value: float) -> str:
    """Format a score with one decimal; a dash for NaN."""
    return MISSING if math.isnan(value) else f'{value:.1f}'


def mean_and_error(mean: float, error: float) -> str:
    """Format a mean with its standard error.

    Args:
        mean: Mean; NaN becomes a dash.
        error: Standard error; NaN is left out.
    """
    return number(mean) + ('' if math.isnan(error) else f' ± {error:.1f}')


def signed(value: float | None) -> str:
    """Format a difference with its sign; a dash for None or NaN."""
    return MISSING if value is None or math.isnan(value) else f'{value:+.1f}'


def ends(low: float, high: float, form: str = '+.1f') -> str:
    """Format both ends of an interval; a dash for NaN.

    Args:
        low: Lower end.
        high: Upper end.
        form: Format of both.
    """
    return MISSING if math.isnan(low) else f'{low:{form}} to {high:{form}}'


def interval_ends(
    interval: Interval | None,
    form: str = '+.1f',
    least: float = -math.inf,
    most: float = math.inf,
) -> str:
    """Format both ends of an interval; a dash for None or NaN.

    Args:
        interval: The interval. A stretched one can exceed the possible values.
        form: Format of both ends.
        least: Smallest possible value, to which the lower end is clipped.
        most: Largest possible value, to which the upper end is clipped.
    """
    if interval is None:
        return MISSING
    return ends(max(interval.low, least), min(interval.high, most), form)


def percent_change(before: float | None, after: float | None) -> str:
    """Format a score before and after, in per cent; a hyphen for None."""
    cells = ['-' if v is None else f'{100 * v:.2f}' for v in (before, after)]
    return ' -> '.join(cells)


def p_value(value: float) -> str:
    """Format a p value with four decimals; a dash for NaN."""
    if math.isnan(value):
        return MISSING
    return '< 0.0001' if value < 1e-4 else f'{value:.4f}'


def markdown(cells: pd.DataFrame) -> str:
    """A table of text cells as Markdown, with its index as the first column.

    Args:
        cells: Text cells.
    """
    rows = [[cells.index.name or '', *map(str, cells.columns)]]
    rows += [
        [str(name), *map(str, row)] for name, row in zip(cells.index, cells.values)
    ]
    rows = [[cell.replace('|', r'\|') for cell in row] for row in rows]
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(rows[0]))]
    rows.insert(
        1, ['-' * widths[0]] + ['-' * (width - 1) + ':' for width in widths[1:]]
    )
    lines = [
        ' | '.join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        )
        for row in rows
    ]
    return ''.join(f'| {line} |\n' for line in lines)
