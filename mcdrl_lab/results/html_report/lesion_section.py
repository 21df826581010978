"""Lesions found and missed one by one, for the report."""

from __future__ import annotations

from collections.abc import Sequence

from mcdrl_common.lesion_counts import SIZE_BOUNDS
from mcdrl_common.metric_names import FALSE_LESIONS
from mcdrl_lab.plans.records import RunRecord
from mcdrl_lab.results.lesion_intervals import (
    Share,
    false_an_image,
    known,
    lesions_found,
)
from mcdrl_lab.results.text_cells import ends

from .report_tables import Table

_SIZES = dict(
    small=f'small (below {SIZE_BOUNDS[0]:.0%} of the image)',
    medium='medium',
    large=f'large (from {SIZE_BOUNDS[1]:.0%})',
)


def lesion_wise_table(name: str, records: Sequence[RunRecord]) -> Table | None:
    """Share of lesions found by kind, and false ones an image, with intervals.

    Args:
        name: Of the method.
        records: Its finished runs.

    Returns:
        The table, or None where no run counted lesions or none is there.
    """
    found = lesions_found(records)
    if not found:
        return None
    rows = [
        [
            _SIZES.get(own.kind, own.kind),
            str(own.lesions),
            _cell(own.found, 100.0),
            _cell(own.found_iou50, 100.0),
        ]
        for own in found
    ]
    false = [false_an_image(records, metric) for metric in FALSE_LESIONS]
    cells = [_cell(share, None) for share in false if share is not None]
    rows.append(['false lesions, number an image', '', *cells])
    columns = ['lesions', 'number', 'found (%)', 'matched with IoU >= 0.5 (%)']
    return Table(f'{name}, lesions one by one, 95 % intervals', columns, rows)


def _cell(share: Share, most: float | None) -> str:
    text = f'{share.value:.1f}' if most else f'{share.value:.2f}'
    if not known(share.interval):
        return text
    # Neither shares nor numbers know of less than nothing, as stretched ends do.
    low, high = max(share.interval.low, 0.0), share.interval.high
    high = high if most is None else min(high, most)
    return f'{text} ({ends(low, high, ".1f" if most else ".2f")})'
