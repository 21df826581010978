"""Box plots of per-image scores and plots of differences, safe for colour blindness."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from mcdrl_common.figure_files import write_figure
from mcdrl_common.palette import LINE_COLORS
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import RunRecord

from .image_metrics import unit_of
from .scores import image_scores
from .tables import row_name

# Okabe and Ito's colours; the hatches distinguish the boxes without colour.
_FILL_COLORS = (
    '#E69F00',
    '#56B4E9',
    '#009E73',
    '#F0E442',
    '#0072B2',
    '#D55E00',
    '#CC79A7',
    '#999999',
)
_ENDINGS = ('.png', '.pdf')
_HATCHES = ('', '//', '..', 'xx', '\\\\', '++', 'oo', '--')


def box_plot(records: Iterable[RunRecord], metric: str = 'dice') -> Figure:
    """Per-image scores by held-out site, one box per method, all seeds together.

    Boxes span the quartiles, whiskers reach up to 1.5 times the interquartile range;
    the line is the median, the diamond the mean.

    Args:
        records: Run records.
        metric: A per-image metric.

    Raises:
        ProtocolError: No finished run has the metric.
    """
    scores = image_scores(records, metric)
    if scores.empty:
        raise ProtocolError(
            f'no finished run has {metric} per image, so that no box plot can be drawn.'
        )
    scores['row'] = list(map(row_name, scores['method'], scores['selection']))
    methods = list(scores['row'].unique())
    sites = sorted(scores['held_out'].unique())
    width = 0.8 / len(methods)
    figure = Figure(figsize=(max(6.0, 0.45 * len(sites) * (len(methods) + 1)), 4.5))
    axes = figure.add_subplot()
    handles = []
    for number, method in enumerate(methods):
        rows = scores[scores['row'] == method]
        values = [rows.loc[rows['held_out'] == site, 'score'] for site in sites]
        offset = (number - (len(methods) - 1) / 2) * width
        boxes = axes.boxplot(
            values,
            positions=np.arange(len(sites)) + offset,
            widths=0.9 * width,
            patch_artist=True,
            showmeans=True,
            flierprops={'marker': '.', 'markersize': 2, 'alpha': 0.4},
            medianprops={'color': 'black'},
            meanprops={
                'marker': 'D',
                'markersize': 3,
                'markerfacecolor': 'white',
                'markeredgecolor': 'black',
            },
        )
        for box in boxes['boxes']:
            box.set_facecolor(_FILL_COLORS[number % len(_FILL_COLORS)])
            box.set_hatch(_HATCHES[number % len(_HATCHES)])
        handles.append(boxes['boxes'][0])
    axes.set_xticks(range(len(sites)), sites, rotation=20, ha='right')
    axes.set_xlabel('held-out site')
    axes.set_ylabel(f'{metric} per image ({unit_of(metric)})')
    axes.grid(axis='y', alpha=0.3)
    legend_above(figure, handles, methods, columns=4)
    figure.set_layout_engine('constrained')
    return figure


def legend_above(
    figure: Figure, handles: Sequence[Artist], labels: Sequence[str], columns: int
) -> None:
    """Put a legend above the axes, with as many columns as fit.

    Args:
        figure: The figure.
        handles: Artists of the legend.
        labels: Their labels.
        columns: Largest number of columns.
    """
    for number in range(min(columns, len(labels)), 0, -1):
        legend = figure.legend(
            handles, labels, loc='outside upper center', ncols=number, frameon=False
        )
        if number == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


def effect_plot(effects: pd.DataFrame, title: str) -> Figure:
    """Mean differences with their intervals, one row per label.

    Args:
        effects: Columns label, difference, low, high; from top to bottom. If an end is
            NaN, only the point is drawn.
        title: Label of the x axis: what is compared, with the unit.
    """
    figure = Figure(figsize=(6.0, 1.2 + 0.35 * len(effects)))
    axes = figure.add_subplot()
    heights = np.arange(len(effects))[::-1]
    lengths = [
        (effects['difference'] - effects['low']).to_numpy(),
        (effects['high'] - effects['difference']).to_numpy(),
    ]
    # The interval of a skewed bootstrap can just miss the estimate.
    lengths = np.clip(np.nan_to_num(np.array(lengths, dtype=float)), 0, None)
    axes.errorbar(
        effects['difference'],
        heights,
        xerr=lengths,
        fmt='D',
        color=LINE_COLORS[0],
        capsize=3,
    )
    axes.axvline(0.0, color='black', linewidth=0.8)
    axes.set_yticks(heights, effects['label'])
    axes.set_ylim(-0.6, len(effects) - 0.4)
    axes.set_xlabel(title)
    axes.grid(axis='x', alpha=0.3)
    figure.set_layout_engine('constrained')
    return figure


def save_figure(
    figure: Figure, base: str | os.PathLike, endings: Sequence[str] = _ENDINGS
) -> list[Path]:
    """Write a figure in several formats, each atomically.

    Args:
        figure: The figure.
        base: Path without suffix.
        endings: Suffixes that Matplotlib knows.

    Returns:
        Paths of the files.
    """
    paths = figure_paths(base, endings)
    for path in paths:
        write_figure(figure, path)
    return paths


def figure_paths(
    base: str | os.PathLike, endings: Sequence[str] = _ENDINGS
) -> list[Path]:
    """Paths of the files that :func:`save_figure` writes.

    Args:
        base: Path without suffix.
        endings: Suffixes.
    """
    return [Path(f'{base}{ending}') for ending in endings]
