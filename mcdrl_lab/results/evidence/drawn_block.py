"""What drawn conditions do to Dice at the held-out site, with and without a case.

A case is an image that a condition goes with at the training sites, as one with a large
lesion (``python -m mcdrl_lab draw-conditions``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import pandas as pd

from mcdrl_common.image_index import ImageIndexError, read_table
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import RunRecord
from mcdrl_lab.results.scores import done
from mcdrl_lab.results.text_cells import markdown, number, signed

Cell = tuple[bool, bool]
"""Whether an image is a case, and whether a condition was drawn on it."""

_CELLS: dict[Cell, str] = {
    (False, False): 'no case, as it was',
    (False, True): 'no case, drawn on',
    (True, False): 'case, as it was',
    (True, True): 'case, drawn on',
}


def read_cells(path: Path) -> dict[str, Cell]:
    """The table of what was drawn, ``conditions.csv``.

    Args:
        path: Of the table.

    Returns:
        Site and image, as ``SITE/images/NAME`` -> its cell.

    Raises:
        ProtocolError: Another table.
    """
    try:
        columns, rows = read_table(path)
    except ImageIndexError as error:
        raise ProtocolError(str(error)) from None
    if not rows or not {'image', 'case', 'condition'} <= set(columns):
        raise ProtocolError(
            f'{path}: expected the columns image, case and condition, as '
            'draw-conditions writes them.'
        )
    return {row['image']: (row['case'] == '1', row['condition'] != '') for row in rows}


def drawn_block(records: Sequence[RunRecord], cells: Mapping[str, Cell]) -> str:
    """Dice by case and condition, for each method.

    ``interaction`` is what a condition adds to Dice in cases, less what it adds in the
    others: about 0 for a network that does not take the condition for a sign.

    Args:
        records: Run records.
        cells: From :func:`read_cells`.

    Raises:
        ProtocolError: An image that the table lacks.
    """
    scores: dict[str, dict[Cell, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in done(records):
        for image in record.images:
            name = f'{record.held_out}/{image["image"]}'
            if name not in cells:
                raise ProtocolError(
                    f'the table of drawn conditions lacks {name}, which was tested.'
                )
            if image['has_lesion']:
                scores[record.method][cells[name]].append(100 * image['dice'])
    rows = {}
    for method, by_cell in scores.items():
        means = {
            cell: fmean(by_cell[cell]) if by_cell[cell] else float('nan')
            for cell in _CELLS
        }
        added = {case: means[case, True] - means[case, False] for case in (False, True)}
        rows[method] = {
            **{title: number(means[cell]) for cell, title in _CELLS.items()},
            'interaction': signed(added[True] - added[False]),
        }
    return markdown(pd.DataFrame(rows).T.rename_axis('Dice'))
