"""All tables and plots of a plan, from its records alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mcdrl_common.atomic_write import write_text
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import (
    RECORDS_NAME,
    RunRecord,
    latest_records,
    read_records,
)

from .comparison import Comparison, comparison_markdown, effect_table
from .plots import box_plot, effect_plot, save_figure
from .scores import IMAGE_METRICS, PERCENT_METRICS, done, run_scores
from .tables import write_tables

REPORT_METRICS = ('dice', 'iou', 'accuracy', 'hd95', 'false_positive')


def load_records(path: str | os.PathLike) -> list[RunRecord]:
    """Read the latest record of every run.

    Args:
        path: A ``records.jsonl`` or the folder that holds it.

    Raises:
        ProtocolError: There is no such file, or no finished run in it.
    """
    path = Path(path)
    if path.is_dir():
        path = path / RECORDS_NAME
    if not path.is_file():
        raise ProtocolError(f'no records in {path}: run leave_one_site_out.py first.')
    records = latest_records(read_records(path))
    if not done(records):
        raise ProtocolError(f'{path} holds no finished run yet.')
    return records


def write_report(
    records: Sequence[RunRecord],
    folder: str | os.PathLike,
    metrics: Sequence[str] = REPORT_METRICS,
) -> list[Path]:
    """Write tables of some metrics, and box plots of those that are per image.

    A metric that is undefined everywhere, as distances are where they were switched
    off, is passed over.

    Args:
        records: Latest record of every run.
        folder: Where to write.
        metrics: Names of metrics.

    Returns:
        Paths of all files written.
    """
    folder = Path(folder)
    files = []
    for metric in metrics:
        if run_scores(records, metric)['score'].isna().all():
            continue
        files += write_tables(records, folder, metric)
        # Whether an image is a false positive is no distribution to draw.
        if metric in IMAGE_METRICS and metric != 'false_positive':
            files += save_figure(
                box_plot(records, metric), folder / f'boxplot_{metric}'
            )
    return files


def write_comparisons(
    comparisons: Sequence[Comparison], folder: str | os.PathLike
) -> list[Path]:
    """Write comparisons as Markdown, CSV and pictures of the effects.

    Args:
        comparisons: From :func:`~mcdrl_lab.results.comparison.compare`.
        folder: Where to write.

    Returns:
        Paths of all files written.
    """
    folder = Path(folder)
    first = comparisons[0]
    base = folder / f'compare_{first.a}_{first.metric}'
    tables = []
    files = [Path(f'{base}.md'), Path(f'{base}.csv')]
    for comparison in comparisons:
        table = effect_table(comparison)
        tables.append(table.assign(a_name=comparison.a, b_name=comparison.b))
        unit = 'points' if comparison.metric in PERCENT_METRICS else 'pixels'
        title = f'{comparison.metric}: {comparison.a} - {comparison.b} ({unit})'
        name = folder / f'effect_{comparison.a}_{comparison.b}_{comparison.metric}'
        files += save_figure(effect_plot(table, title), name)
    text = '\n'.join(comparison_markdown(comparison) for comparison in comparisons)
    write_text(files[0], text)
    write_text(files[1], pd.concat(tables).to_csv(index=False))
    return files
