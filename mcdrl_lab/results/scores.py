"""Records as tables of numbers: one row per run, or one row per image and run."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import RunRecord

from .image_metrics import IMAGE_METRICS, scale_of, value_of

RUN_COLUMNS = ['method', 'selection', 'held_out', 'seed']
IMAGE_COLUMNS = [*RUN_COLUMNS, 'sequence', 'image']


def done(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Only the finished runs."""
    return [record for record in records if record.status == 'done']


def image_scores(records: Iterable[RunRecord], metric: str = 'dice') -> pd.DataFrame:
    """One row for every image of every finished run that has the metric.

    :func:`~mcdrl_lab.results.image_metrics.value_of` says which images have it.

    Args:
        records: Run records.
        metric: Key of the per-image records, one of ``IMAGE_METRICS``.

    Returns:
        Columns method, selection, held_out, seed, sequence, image, score. Fractions
        are in per cent, distances in pixels. An unknown sequence is None.

    Raises:
        ProtocolError: An unknown metric.
    """
    if metric not in IMAGE_METRICS:
        raise ProtocolError(
            f'metric {metric!r} is not recorded per image; choose one of '
            f'{", ".join(IMAGE_METRICS)}.'
        )
    scale = scale_of(metric)
    rows = [
        (*_run(record), image.get('sequence'), image['image'], scale * value)
        for record in done(records)
        for image in record.images
        if (value := value_of(image, metric)) is not None
    ]
    return pd.DataFrame(rows, columns=[*IMAGE_COLUMNS, 'score'])


def run_scores(records: Iterable[RunRecord], metric: str = 'dice') -> pd.DataFrame:
    """One row per finished run.

    Args:
        records: Run records.
        metric: A per-image metric, whose score is the mean over the images that have
            it; or the name of a summary value, as ``lesion/polyp/mDice_fg``.

    Returns:
        Columns method, selection, held_out, seed, score; NaN if undefined. Fractions
        are in per cent.

    Raises:
        ProtocolError: No record has the metric.
    """
    records = done(records)
    if metric in IMAGE_METRICS:
        means = image_scores(records, metric).groupby(RUN_COLUMNS)['score'].mean()
        rows = [(*_run(r), means.get(_run(r), float('nan'))) for r in records]
    else:
        names = sorted({name for record in records for name in record.metrics})
        if records and metric not in names:
            # Leave out names of single sites or lesion classes: there are hundreds.
            shown = [name for name in names if '/' not in name]
            raise ProtocolError(
                f'no record has the metric {metric!r}. Metrics per image are '
                f'{", ".join(IMAGE_METRICS)}; summaries are {", ".join(shown)}, and '
                'those of a site or lesion class, as site/NAME/mDice_fg.'
            )
        rows = [
            (*_run(r), scale_of(metric) * r.metrics.get(metric, float('nan')))
            for r in records
        ]
    return pd.DataFrame(rows, columns=[*RUN_COLUMNS, 'score'])


def _run(record: RunRecord) -> tuple:
    return record.method, record.selection, record.held_out, record.seed
