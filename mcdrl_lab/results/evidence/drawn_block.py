"""Effect of drawn conditions at the held-out site, for cases and other images.

A case is an image of the kind on which a condition is drawn at the training sites: one
with a large lesion, or one with any (``python -m mcdrl_lab draw-conditions``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

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
    """Read the table of drawn conditions, ``conditions.csv``.

    Args:
        path: Path of the table.

    Returns:
        Site and image, as ``SITE/images/NAME`` -> its cell.

    Raises:
        ProtocolError: It is no such table.
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
    """Effect of a condition at the held-out site, for each method, as Markdown.

    If cases are the images with a large lesion: Dice by case and condition, and
    ``interaction``, the effect of a condition on Dice in cases minus that in the other
    images. If cases are the images with a lesion: their Dice, and the false positives
    of the others, by condition, and the effect of the condition. The interaction or the
    effect is about 0 for a network that does not use the condition as a cue. All
    numbers are means over sites.

    Args:
        records: Run records; oracle runs are left out.
        cells: From :func:`read_cells`.

    Raises:
        ProtocolError: The table lacks an image.
    """
    images: dict[str, list[_DrawnImage]] = defaultdict(list)
    for record in done(records):
        if record.selection != 'validation':
            continue
        for image in record.images:
            name = f'{record.held_out}/{image["image"]}'
            if name not in cells:
                raise ProtocolError(
                    f'the table of drawn conditions lacks {name}, which was tested.'
                )
            images[record.method].append(
                _DrawnImage(record.held_out, *cells[name], image)
            )
    by_presence = all(
        each.case == each.scores['has_lesion']
        for own in images.values()
        for each in own
    )
    row = _presence_row if by_presence else _size_row
    rows = {method: row(own) for method, own in images.items()}
    return markdown(pd.DataFrame(rows).T.rename_axis('' if by_presence else 'Dice'))


class _DrawnImage(NamedTuple):
    site: str
    case: bool
    drawn: bool
    scores: Mapping[str, Any]


def _size_row(images: Sequence[_DrawnImage]) -> dict[str, str]:
    means = {
        cell: _mean_of_sites(
            (each.site, 100 * each.scores['dice'])
            for each in images
            if each.scores['has_lesion'] and (each.case, each.drawn) == cell
        )
        for cell in _CELLS
    }
    added = {case: means[case, True] - means[case, False] for case in (False, True)}
    return {
        **{title: number(means[cell]) for cell, title in _CELLS.items()},
        'interaction': signed(added[True] - added[False]),
    }


def _presence_row(images: Sequence[_DrawnImage]) -> dict[str, str]:
    row = {}
    for case, key, title in (
        (True, 'dice', 'Dice'),
        (False, 'false_positive', 'false positives'),
    ):
        plain, drawn = (
            _mean_of_sites(
                (each.site, 100 * float(each.scores[key]))
                for each in images
                if (each.case, each.drawn) == (case, condition)
            )
            for condition in (False, True)
        )
        row[f'{title}, as it was'] = number(plain)
        row[f'{title}, drawn on'] = number(drawn)
        row['added' if case else 'added '] = signed(drawn - plain)
    return row


def _mean_of_sites(scores: Iterable[tuple[str, float]]) -> float:
    by_site: dict[str, list[float]] = defaultdict(list)
    for site, score in scores:
        by_site[site].append(score)
    return fmean(map(fmean, by_site.values())) if by_site else float('nan')
