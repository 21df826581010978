"""The report's section on the calibration of the lesion probability."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from mcdrl_common.metric_names import CALIBRATION_METRICS
from mcdrl_common.palette import LINE_COLORS
from mcdrl_lab.plans.records import RunRecord
from mcdrl_lab.results.text_cells import number

from .report_tables import MEAN_ROW, Table

_HEADS = {
    name: name.replace('_border', ' at borders') + ' (%)'
    for name in CALIBRATION_METRICS
}


def calibration_table(name: str, records: Sequence[RunRecord]) -> Table | None:
    """Calibration errors and Brier score at each held-out site; lower is better.

    Args:
        name: Name of the method.
        records: Its finished runs.

    Returns:
        Means over seeds, or None if no run has recorded calibration.
    """
    known = [record for record in records if 'ECE' in record.metrics]
    if not known:
        return None
    scores = pd.DataFrame(
        [record.metrics for record in known],
        index=[record.held_out for record in known],
        columns=list(_HEADS),
        dtype=float,
    )
    # Mean over the seeds that have the score: a site may have no border.
    means = scores.groupby(level=0).mean()
    if len(means) > 1:
        means.loc[MEAN_ROW] = means.mean()
    rows = [
        [site, *(number(100 * value) for value in row)]
        for site, row in zip(means.index, means.to_numpy())
    ]
    columns = ['held-out site', *_HEADS.values()]
    return Table(f'{name}, calibration of the lesion probability', columns, rows)


def reliability_figure(records: Sequence[RunRecord]) -> Figure | None:
    """Reliability diagrams: share of lesion against predicted probability.

    One diagram is for all pixels, one for pixels near borders.

    Args:
        records: Finished runs of one method; for each site the lowest seed is drawn.

    Returns:
        A figure with one line per site, or None if no run has recorded calibration.
    """
    drawn: dict[str, dict] = {}
    for record in sorted(records, key=lambda r: (r.held_out, r.seed)):
        own = record.sites.get(record.held_out, {}).get('calibration')
        if own:
            drawn.setdefault(record.held_out, own)
    if not drawn:
        return None
    figure = Figure(figsize=(9.0, 4.2), layout='constrained')
    parts = {'all': 'all pixels', 'border': "near the lesions' outlines"}
    for axes, (part, title) in zip(figure.subplots(1, 2), parts.items()):
        axes.plot([0, 1], [0, 1], color='0.6', linestyle=':', linewidth=1)
        for index, (site, calibration) in enumerate(drawn.items()):
            points = [
                (p, y)
                for p, y in zip(
                    calibration[part]['probability'], calibration[part]['lesion']
                )
                if p is not None
            ]
            axes.plot(
                *zip(*points or [(math.nan, math.nan)]),
                color=LINE_COLORS[index % len(LINE_COLORS)],
                marker='osD^v'[index % 5],
                markersize=4,
                label=site,
            )
        axes.set(title=title, xlabel='lesion probability', ylabel='share of lesion')
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect='equal')
    figure.axes[0].legend(fontsize='small')
    return figure
