"""Which imaging conditions a model attends to, site by site."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcdrl_common.palette import LINE_COLORS

_COLUMNS = 3
# A share within 5 % of the prior counts as equal to it.
_LIKE_PRIOR = 0.05


def confounder_profile(
    attention: Mapping[str, np.ndarray],
    names: Sequence[str],
    prior: np.ndarray | None = None,
) -> Figure:
    """Bars of the mean attention to each confounder, one panel per site.

    Whiskers span the interquartile range of the site's images.

    Args:
        attention: Site -> (n, M), one row per image; rows sum to 1.
        names: M names of the confounders.
        prior: P(z), (M,), the attention if the image had no influence; None is uniform.
    """
    sites = sorted(attention)
    columns = min(_COLUMNS, len(sites))
    rows = math.ceil(len(sites) / columns)
    count = len(names)
    prior = np.full(count, 1 / count) if prior is None else np.asarray(prior)
    figure = Figure(
        figsize=(1.6 + 2.3 * columns, 0.9 + rows * (0.7 + 0.19 * count)),
        layout='constrained',
    )
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, site in zip(grid.flat, sites):
        values = 100 * np.asarray(attention[site], dtype=np.float64)
        _draw_site(axes, site, values, names, 100 * prior)
    grid[0, 0].set_ylim(count - 0.5, -0.5)
    grid[0, 0].set_xlim(left=0)
    # Remove empty panels of the last row; panels above them get the axis labels.
    for axes in list(grid.flat)[len(sites) :]:
        axes.remove()
    for axes in list(grid.flat)[max(0, len(sites) - columns) : len(sites)]:
        axes.tick_params(labelbottom=True)
    figure.supxlabel('mean attention (%), whiskers: middle half of images', fontsize=10)
    means = np.stack([np.mean(attention[site], axis=0) for site in sites])
    if np.abs(means / np.maximum(prior, 1e-9) - 1).max() < _LIKE_PRIOR:
        figure.suptitle(
            'Attention follows the prior: no condition stands out at any site',
            fontsize=10,
        )
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles[:1], labels[:1], loc='outside upper right', frameon=False, fontsize=9
    )
    return figure


def _draw_site(
    axes: Axes, site: str, values: np.ndarray, names: Sequence[str], prior: np.ndarray
) -> None:
    """One site's bars, (n, M) in per cent, and the prior as a stepped line."""
    positions = np.arange(len(names))
    mean = values.mean(axis=0)
    low, high = np.quantile(values, [0.25, 0.75], axis=0)
    whiskers = np.clip([mean - low, high - mean], 0, None)
    axes.barh(
        positions,
        mean,
        xerr=whiskers if len(values) > 1 else None,
        color=LINE_COLORS[0],
        edgecolor='black',
        linewidth=0.6,
        error_kw=dict(elinewidth=1, ecolor='black', capsize=2),
    )
    axes.stairs(
        prior,
        np.append(positions - 0.5, len(names) - 0.5),
        orientation='horizontal',
        baseline=None,
        color=LINE_COLORS[1],
        linestyle='--',
        linewidth=1.4,
        label='prior P(z)',
    )
    noun = 'image' if len(values) == 1 else 'images'
    axes.set_title(f'{site} ({len(values)} {noun})', fontsize=10)
    axes.set_yticks(positions, names)
    axes.grid(axis='x', alpha=0.3)
    axes.set_axisbelow(True)
