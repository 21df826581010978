"""All tables and plots of a plan, from its records alone."""

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
