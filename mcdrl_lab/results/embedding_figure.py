"""Figure of the features before and after the intervention, with probe scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler

from mcdrl_common.palette import LINE_COLORS, mark_style

from .probe import ProbeScore

# Feature arrays, named as in the paper -> title.
TITLES = {'F': 'before, F', 'F_ca': 'after, F_ca'}
_HATCHES = {'F': '', 'F_ca': '//'}
_COLORS = {'F': '#BBBBBB', 'F_ca': LINE_COLORS[0]}


def embed(features: np.ndarray, perplexity: float = 30.0, seed: int = 0) -> np.ndarray:
    """Map features to the plane by t-SNE, with each channel standardised first.

    Args:
        features: (n, c), n of 3 or more.
        perplexity: Effective number of neighbours; reduced if n is small.
        seed: Seed of the layout.

    Returns:
        (n, 2) float32. The axes and the distances between far points have no meaning.

    Raises:
        ValueError: Fewer than 3 images.
    """
    count = len(features)
    if count < 3:
        raise ValueError(f'a map needs 3 images or more, got {count}.')
    perplexity = min(perplexity, (count - 1) / 3)
    layout = TSNE(
        perplexity=perplexity,
        # The default start from principal components needs two channels and samples.
        init='pca' if min(features.shape) >= 2 else 'random',
        random_state=seed,
    )
    return layout.fit_transform(StandardScaler().fit_transform(features))


def embedding_figure(
    maps: Mapping[str, np.ndarray],
    labels: Mapping[str, Sequence[str]],
    probes: Mapping[tuple[str, str], ProbeScore],
) -> Figure:
    """Draw the maps, one row per feature and one column per label, and the probes.

    Args:
        maps: ``'F'`` and ``'F_ca'`` -> (n, 2).
        labels: Such as ``'site'`` and ``'lesion'`` -> n names.
        probes: (feature, label) -> score of its linear probe; probes that could not be
            fitted are left out.
    """
    figure = Figure(
        figsize=(3.7 * len(labels) + 3.2, 3.5 * len(maps) + 0.7), layout='constrained'
    )
    grid = figure.subplots(
        len(maps),
        len(labels) + 1,
        squeeze=False,
        width_ratios=[1.0] * len(labels) + [0.7],
    )
    for row, feature in enumerate(maps):
        for column, label in enumerate(labels):
            axes = grid[row, column]
            _scatter(axes, maps[feature], labels[label])
            axes.set_title(f'{TITLES.get(feature, feature)}, by {label}', fontsize=11)
            if row == len(maps) - 1:
                # Below the lowest map, so that the legend covers no point.
                axes.legend(
                    loc='upper center',
                    bbox_to_anchor=(0.5, -0.02),
                    ncols=2,
                    fontsize=8,
                    frameon=False,
                )
    for axes in grid[1:, -1]:
        axes.set_axis_off()
    _draw_probes(grid[0, -1], list(maps), list(labels), probes)
    # The last panel is empty: the legend covers nothing there.
    handles, names = grid[0, -1].get_legend_handles_labels()
    grid[-1, -1].legend(handles, names, loc='upper center', fontsize=9, frameon=False)
    return figure


def _scatter(axes: Axes, points: np.ndarray, names: Sequence[str]) -> None:
    sizes = Counter(names)
    for number, name in enumerate(sorted(sizes)):
        inside = np.array([other == name for other in names])
        axes.scatter(
            *points[inside].T,
            s=16,
            alpha=0.75,
            linewidths=0.3,
            edgecolors='black',
            label=f'{name} ({sizes[name]})',
            # Small groups are drawn on top of large ones.
            zorder=2 + 1 / sizes[name],
            **mark_style(number),
        )
    axes.set_xticks([])
    axes.set_yticks([])


def _draw_probes(
    axes: Axes,
    features: Sequence[str],
    labels: Sequence[str],
    probes: Mapping[tuple[str, str], ProbeScore],
) -> None:
    width = 0.8 / len(features)
    for number, feature in enumerate(features):
        for place, label in enumerate(labels):
            score = probes.get((feature, label))
            if score is None:
                continue
            left = place + (number - (len(features) - 1) / 2) * width
            axes.bar(
                left,
                100 * score.accuracy,
                0.9 * width,
                color=_COLORS.get(feature),
                hatch=_HATCHES.get(feature),
                edgecolor='black',
                linewidth=0.6,
                label=feature if place == 0 else None,
            )
            axes.plot(
                [left] * len(score.folds),
                [100 * fold for fold in score.folds],
                marker='.',
                color='black',
                linestyle='none',
                markersize=4,
            )
            axes.text(
                left,
                102,
                f'{100 * score.accuracy:.0f}',
                ha='center',
                va='bottom',
                fontsize=9,
            )
            axes.hlines(
                100 * score.chance,
                left - width / 2,
                left + width / 2,
                colors=LINE_COLORS[1],
                linestyles='--',
            )
    axes.set_ylim(0, 112)
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylabel('balanced accuracy (%)', fontsize=9)
    axes.set_title('linear probe', fontsize=11)
    unprobed = [n for n in labels if not any((f, n) in probes for f in features)]
    for name in unprobed:
        axes.text(
            labels.index(name), 4, 'not probed', rotation=90, ha='center', fontsize=9
        )
    axes.plot([], [], color=LINE_COLORS[1], linestyle='--', label='chance')
    axes.plot([], [], '.', color='black', label='each fold')
