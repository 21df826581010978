"""The report's section on lesions found and missed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mcdrl_common.lesion_counts import SIZE_BOUNDS
from mcdrl_common.metric_names import FALSE_LESIONS
from mcdrl_lab.plans.records import RunRecord
from mcdrl_lab.results.lesion_intervals import (
    Share,
    false_an_image,
    lesions_found,
)
from mcdrl_lab.results.text_cells import MISSING, interval_ends

from .report_tables import Table

_SIZES = dict(
    small=f'small (below {SIZE_BOUNDS[0]:.0%} of the image)',
    medium='medium',
    large=f'large (from {SIZE_BOUNDS[1]:.0%})',
)


def lesion_wise_table(name: str, records: Sequence[RunRecord]) -> Table | None:
    """Share of lesions found by kind, and false lesions per image, with intervals.

    Args:
        name: Name of the method.
        records: Its finished runs.

    Returns:
        The table, or None if no run has lesion counts or there is no lesion.
    """
    found = lesions_found(records)
    if not found:
        return None
    rows = [
        [
            _SIZES.get(own.kind, own.kind),
            str(own.lesions),
            _cell(own.found, '.1f', 100.0),
            _cell(own.found_iou50, '.1f', 100.0),
        ]
        for own in found
    ]
    false = [false_an_image(records, metric) for metric in FALSE_LESIONS]
    cells = [_cell(share, '.2f') for share in false if share is not None]
    rows.append(['false lesions per image', '', *cells])
    columns = ['lesions', 'number', 'found (%)', 'matched with IoU >= 0.5 (%)']
    return Table(f'{name}, lesions one by one, 95 % intervals', columns, rows)


def _cell(share: Share, form: str, most: float = math.inf) -> str:
    between = interval_ends(share.interval, form, 0.0, most)
    beside = '' if between == MISSING else f' ({between})'
    return f'{share.value:{form}}{beside}'
