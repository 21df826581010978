"""All tables and plots of a plan, made from its records."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mcdrl_lab.plans.records import RunRecord

from .image_metrics import IMAGE_METRICS, REPORT_METRICS
from .plots import box_plot, save_figure
from .scores import run_scores
from .tables import write_tables


def write_report(
    records: Sequence[RunRecord],
    folder: str | os.PathLike,
    metrics: Sequence[str] = REPORT_METRICS,
) -> list[Path]:
    """Write tables of metrics, and box plots of the per-image ones.

    A metric that is undefined everywhere, such as a distance that was not computed, is
    skipped.

    Args:
        records: Latest record of every run.
        folder: Folder to write to.
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
        # A yes-or-no value per image has no distribution to draw.
        if metric in IMAGE_METRICS and metric != 'false_positive':
            files += save_figure(
                box_plot(records, metric), folder / f'boxplot_{metric}'
            )
    return files
