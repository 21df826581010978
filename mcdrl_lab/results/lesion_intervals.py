"""Share of lesions that a method found, by size, type and site, with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from mcdrl_common.lesion_counts import SIZES
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import RunRecord

from .scores import done, image_scores
from .statistics import Interval, these_sites_interval

ALL = 'all lesions'
# Each lesion takes a table row, and a damaged record may state any number.
_MAX_LESIONS = 2_000_000


@dataclass(frozen=True)
class Share:
    """An estimated share of lesions found, or number of false lesions per image.

    Attributes:
        value: Mean over sites; per cent, or number per image.
        interval: 95 % interval for these sites: sequences and seeds are resampled.
    """

    value: float
    interval: Interval


@dataclass(frozen=True)
class Found:
    """Lesions of one kind, and the shares that were found.

    Attributes:
        kind: Name of the size, type or site.
        lesions: Number of different lesions.
        found: Share of lesions with at least one predicted pixel.
        found_iou50: Share of lesions that a predicted region matches with an IoU of at
            least 0.5.
    """

    kind: str
    lesions: int
    found: Share
    found_iou50: Share


def lesions_found(records: Iterable[RunRecord]) -> list[Found]:
    """Shares of lesions found: all lesions, and by size, type and site.

    Args:
        records: Finished runs of one method.

    Returns:
        All lesions, then by size, by lesion type of the image, and by held-out site.
        Kinds without a lesion are left out, and so are types or sites if there is only
        one. Empty if no record has lesion counts.
    """
    lesions = _one_row_a_lesion(done(records))
    if lesions.empty:
        return []
    kinds = {ALL: lesions}
    kinds |= {size: lesions[lesions['size'] == size] for size in SIZES}
    types = sorted({name for names in lesions['types'] for name in names})
    if len(types) > 1:
        kinds |= {t: lesions[[t in names for names in lesions['types']]] for t in types}
    sites = sorted(lesions['held_out'].unique())
    if len(sites) > 1:
        kinds |= {f'at {s}': lesions[lesions['held_out'] == s] for s in sites}
    return [
        Found(
            kind,
            len(own.drop_duplicates(['held_out', 'image', 'number'])),
            _share(own, 'found'),
            _share(own, 'found_iou50'),
        )
        for kind, own in kinds.items()
        if len(own)
    ]


def false_an_image(records: Iterable[RunRecord], metric: str) -> Share | None:
    """Mean number of predicted regions per image that match no lesion.

    Args:
        records: Finished runs of one method.
        metric: ``false_lesions`` or ``false_lesions_iou50``.

    Returns:
        The estimate, or None if no record has lesion counts.
    """
    scores = image_scores(records, metric)
    return None if scores.empty else _share(scores, 'score')


def _share(rows: pd.DataFrame, column: str) -> Share:
    value = float(rows.groupby('held_out')[column].mean().mean())
    return Share(value, these_sites_interval(rows, column=column))


def _one_row_a_lesion(records: Sequence[RunRecord]) -> pd.DataFrame:
    """One row per lesion and run.

    Columns held_out, seed, sequence, image, number, size, types, found, found_iou50.
    """
    total = sum(
        image['lesions'][size][0]
        for record in records
        for image in record.images
        if 'lesions' in image
        for size in SIZES
    )
    if total > _MAX_LESIONS:
        raise ProtocolError(
            f'{total} lesions of {records[0].method}: the limit of a report is '
            f'{_MAX_LESIONS}. Check the records for damage, or use fewer runs.'
        )
    rows = [
        (
            *(record.held_out, record.seed, image.get('sequence'), image['image']),
            f'{size}{number}',
            size,
            tuple(image.get('lesion_classes') or ()),
            100.0 * (number < found),
            100.0 * (number < close),
        )
        for record in records
        for image in record.images
        if 'lesions' in image
        for size in SIZES
        for total, found, close in [image['lesions'][size]]
        for number in range(total)
    ]
    columns = ['held_out', 'seed', 'sequence', 'image', 'number', 'size', 'types']
    return pd.DataFrame(rows, columns=[*columns, 'found', 'found_iou50'])
