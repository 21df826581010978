"""One page on one image: what MCDRL saw, which conditions it met, what changed."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from .overlay import HEAT_COLORMAP

if TYPE_CHECKING:
    from mcdrl_mmseg.apis.explanation import Explanation

# Red and blue would be alike to some eyes; both ends are dark and lines tell the sign.
_DIFFERENCE_COLORMAP = 'PuOr_r'
_THRESHOLD = 0.5
_BAR = '#0072B2'
_WIDTH_IN = 15.0
_BARS_SHARE = 0.34
_TITLE, _TEXT = 10.5, 9.0
_NAME_CHARACTERS = 22
# A difference below this is shown as none: rounding would else fill the scale.
_LEAST_DIFFERENCE = 0.05
_CONTRAST = (70, 0.45)

_PREDICTED = dict(colors='white', linewidths=1.6, linestyles='solid')
_TRUE = dict(colors='#F0E442', linewidths=1.6, linestyles='dashed')
_EDGE = [withStroke(linewidth=3.0, foreground='black')]


def explanation_figure(
    explanation: Explanation,
    truth: np.ndarray | None = None,
    true_confounders: Sequence[str] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw an explanation.

    From top to bottom: the image, CLIP's similarity to each class and the regions
    kept; the prediction without and with the intervention, and its change; the
    weights of the confounders, as bars and as maps; the prediction under each single
    confounder.

    Args:
        explanation: What to draw.
        truth: (H, W) bool, where the lesion is; it is outlined, and Dice is named.
        true_confounders: Names of imaging conditions known to be in the image; they
            are marked.
        title: Of the page, as the name of the image.

    Returns:
        The figure, to be saved at 100 dots an inch or more.

    Raises:
        ValueError: The truth has another size than the image.
    """
    if truth is not None and truth.shape != explanation.image.shape[:2]:
        raise ValueError(
            f'the truth is {truth.shape[1]} x {truth.shape[0]}, the image '
            f'{explanation.image.shape[1]} x {explanation.image.shape[0]} pixels '
            '(width x height): both must be of one size.'
        )
    page = _Page(explanation, truth, tuple(true_confounders or ()))
    heights = page.section_heights()
    figure = Figure(figsize=(_WIDTH_IN, sum(heights) + 0.5), layout='constrained')
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.04, h_pad=0.05, wspace=0.02, hspace=0.03)
    figure.suptitle(page.headline(title), fontsize=_TITLE + 2)
    sections = figure.subfigures(len(heights), 1, height_ratios=heights)
    page.draw_selection(sections[0])
    page.draw_change(sections[1])
    page.draw_weights(sections[2])
    if explanation.per_confounder is not None:
        page.draw_single(sections[3], explanation.per_confounder)
    return figure


class _Page:
    """The four sections of the page."""

    def __init__(
        self,
        explanation: Explanation,
        truth: np.ndarray | None,
        true_confounders: tuple[str, ...],
    ) -> None:
        self.explanation = explanation
        self.truth = truth
        self.true_confounders = true_confounders
        height, width = explanation.image.shape[:2]
        self.aspect = float(np.clip(height / width, 0.4, 1.6))
        grey = cv2.cvtColor(explanation.image, cv2.COLOR_RGB2GRAY)
        offset, gain = _CONTRAST
        # Pale and flat, so that brightness is the map's and not the tissue's.
        self.ground = (offset + gain * grey).astype(np.uint8)

    def section_heights(self) -> list[float]:
        """Inches that the sections need."""
        count = len(self.explanation.class_names) + 2
        rows, columns = _rows_and_columns(count, 5)
        selection = rows * (self.aspect * _WIDTH_IN / max(columns, 4) * 0.9 + 0.5)
        change = self.aspect * _WIDTH_IN / 3 * 0.78 + 0.6
        confounders = len(self.explanation.confounder_names)
        rows, columns = _rows_and_columns(confounders, 6)
        cell = self.aspect * _WIDTH_IN * (1 - _BARS_SHARE) / columns * 0.88 + 0.4
        lists = max(rows * cell, 0.24 * confounders + 0.8) + 0.35
        heights = [selection + 0.4, change + 0.4, lists]
        if self.explanation.per_confounder is not None:
            heights.append(lists)
        return heights

    def headline(self, title: str | None) -> str:
        """Title and the result in words."""
        areas = [
            f'{100 * _area(self.explanation.lesion_probability[key]):.1f} %'
            for key in ('gate_0', 'gate_1')
        ]
        words = (
            f'Predicted lesion: {areas[0]} of the image without intervention, '
            f'{areas[1]} with it.  Gate of the model: {self.explanation.gate:g}'
        )
        return f'{title}\n{words}' if title else words

    def draw_selection(self, section: SubFigure) -> None:
        """The image, where CLIP sees which class, and what is kept."""
        explanation = self.explanation
        section.suptitle(
            '1  Where CLIP sees a lesion, and the regions kept',
            fontsize=_TITLE + 1,
            fontweight='bold',
            x=0.01,
            ha='left',
        )
        axes = _cells(section, len(explanation.class_names) + 2, 5)
        height, width = explanation.image.shape[:2]
        _image(axes[0], explanation.image, f'Image, {width} x {height} pixels')
        if self.truth is not None:
            self._contour(axes[0], self.truth, _TRUE)
            _legend(axes[0], [(_TRUE, 'truth')])
        # A scale each: one class is often likelier everywhere, and where is asked.
        for cell, name, values in zip(
            axes[1:-1], explanation.class_names, explanation.similarity
        ):
            words = f'Similarity to "{_wrap(name)}"'
            shown = self._map(cell, values, values.min(), values.max(), words)
            bar = section.colorbar(shown, ax=cell, shrink=0.85, pad=0.03)
            _label(bar, 'cosine similarity')
        share = 100 * explanation.kept.mean()
        kept = np.where(
            self._to_image(explanation.kept, smooth=False)[..., None] > 0.5,
            explanation.image,
            explanation.image // 4,
        )
        rows, columns = explanation.kept.shape
        _image(axes[-1], kept, f'Kept: {share:.0f} % of {rows} x {columns} positions')

    def draw_change(self, section: SubFigure) -> None:
        """The prediction at gate 0 and 1, and the difference."""
        section.suptitle(
            '2  What the intervention changed',
            fontsize=_TITLE + 1,
            fontweight='bold',
            x=0.01,
            ha='left',
        )
        before, after = (
            self.explanation.lesion_probability[key] for key in ('gate_0', 'gate_1')
        )
        axes = section.subplots(1, 3)
        for cell, values, words in (
            (axes[0], before, 'Without intervention (gate 0)'),
            (axes[1], after, 'With intervention (gate 1)'),
        ):
            shown = self._map(cell, values, 0, 1, words + self._dice(values))
            self._contour(cell, values, _PREDICTED)
            if self.truth is not None:
                self._contour(cell, self.truth, _TRUE)
        lines = [(_PREDICTED, f'predicted lesion (above {_THRESHOLD:g})')]
        lines += [(_TRUE, 'truth')] if self.truth is not None else []
        _legend(axes[0], lines)
        bar = section.colorbar(shown, ax=list(axes[:2]), shrink=0.9, pad=0.02)
        _label(bar, 'lesion probability')
        self._difference(section, axes[2], after - before)

    def draw_weights(self, section: SubFigure) -> None:
        """Weights of the confounders, overall and where."""
        explanation = self.explanation
        attends = explanation.approximation == 'attention'
        if attends:
            heading = '3  Attention to each imaging condition'
            unit = 'share of attention, mean over the kept positions'
        else:
            heading = (
                f'3  Weights P(z) of the imaging conditions: with '
                f'"{explanation.approximation}" the same for every image'
            )
            unit = 'P(z)'
        left, right = self._halves(section, heading)
        axes = left.subplots()
        self._bars(axes, explanation.attention, '{:.3f}')
        axes.axvline(
            1 / len(explanation.attention), color='black', linestyle=':', linewidth=1.2
        )
        axes.set_xlabel(f'{unit}\n(dotted: all alike; they always sum to 1)')
        maps = explanation.attention_maps
        high = float(np.nanmax(maps))
        cells = _cells(right, len(maps), 6)
        for cell, values, name in zip(cells, maps, explanation.confounder_names):
            shown = self._map(cell, values, 0, high, self._marked(name), small=True)
        bar = right.colorbar(shown, ax=list(cells), shrink=0.8, pad=0.02, aspect=30)
        _label(bar, 'share of attention' if attends else 'P(z)')

    def draw_single(self, section: SubFigure, per_confounder: np.ndarray) -> None:
        """The prediction as it would be if one confounder were all there is."""
        explanation = self.explanation
        left, right = self._halves(
            section,
            '4  Prediction under each single imaging condition, do(z): its outline, '
            'and what it changes',
        )
        areas = np.array([100 * _area(p) for p in per_confounder])
        axes = left.subplots()
        self._bars(axes, areas, '{:.1f}')
        for key, style, words in (
            ('gate_0', ':', 'without intervention'),
            ('gate_1', '--', 'with intervention'),
        ):
            area = 100 * _area(explanation.lesion_probability[key])
            axes.axvline(
                area, color='black', linestyle=style, linewidth=1.4, label=words
            )
            axes.set_xlim(right=max(axes.get_xlim()[1], 1.05 * area))
        axes.set_xlabel('predicted lesion, % of the image')
        axes.legend(
            fontsize=_TEXT - 1,
            loc='lower center',
            bbox_to_anchor=(0.5, 1.0),
            ncols=2,
            frameon=False,
        )
        cells = _cells(right, len(areas), 6)
        after = explanation.lesion_probability['gate_1']
        limit = _limit(per_confounder - after)
        for cell, values, name in zip(
            cells, per_confounder, explanation.confounder_names
        ):
            words = self._marked(name)
            change = values - after
            shown = self._map(
                cell, change, -limit, limit, words, _DIFFERENCE_COLORMAP, small=True
            )
            self._contour(cell, values, {**_PREDICTED, 'linewidths': 1.0})
        bar = right.colorbar(shown, ax=list(cells), shrink=0.8, pad=0.02, aspect=30)
        _label(bar, 'change of probability from gate 1')

    def _halves(self, section: SubFigure, heading: str) -> tuple[SubFigure, SubFigure]:
        section.suptitle(
            heading, fontsize=_TITLE + 1, fontweight='bold', x=0.01, ha='left'
        )
        left, right = section.subfigures(
            1, 2, width_ratios=[_BARS_SHARE, 1 - _BARS_SHARE]
        )
        return left, right

    def _bars(self, axes: Axes, values: np.ndarray, form: str) -> None:
        names = self.explanation.confounder_names
        heights = np.arange(len(names))[::-1]
        known = [name in self.true_confounders for name in names]
        bars = axes.barh(
            heights,
            values,
            color=_BAR,
            edgecolor='black',
            hatch=['//' if mark else '' for mark in known],
            height=0.72,
        )
        axes.bar_label(
            bars,
            [form.format(v) for v in values],
            padding=3,
            fontsize=_TEXT - 1,
            path_effects=[withStroke(linewidth=3.0, foreground='white')],
        )
        labels = [self._marked(name, wrap=False) for name in names]
        axes.set_yticks(heights, labels, linespacing=0.9)
        axes.tick_params(labelsize=_TEXT)
        axes.xaxis.label.set_size(_TEXT)
        axes.set_xlim(0, max(1.18 * float(values.max()), 1e-3))
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.grid(axis='x', alpha=0.3)
        axes.set_axisbelow(True)
        axes.spines[['top', 'right']].set_visible(False)

    def _marked(self, name: str, wrap: bool = True) -> str:
        text = _wrap(name) if wrap else textwrap.shorten(name, 32, placeholder='...')
        return f'{text}\n(present)' if name in self.true_confounders else text

    def _difference(
        self, section: SubFigure, axes: Axes, difference: np.ndarray
    ) -> None:
        limit = _limit(difference)
        shown = self._map(
            axes,
            difference,
            -limit,
            limit,
            'Change (gate 1 - gate 0)',
            colormap=_DIFFERENCE_COLORMAP,
        )
        lines = []
        for level, style, words in (
            (limit / 2, 'solid', 'gained'),
            (-limit / 2, 'dotted', 'lost'),
        ):
            line = dict(colors='black', linewidths=1.2, linestyles=style)
            self._contour(axes, difference, line, level, edge=False)
            lines.append((line, f'{words} half of the scale or more'))
        _legend(axes, lines)
        bar = section.colorbar(shown, ax=axes, shrink=0.9, pad=0.02)
        _label(bar, 'change of probability')

    def _dice(self, probability: np.ndarray) -> str:
        if self.truth is None or not self.truth.any():
            return ''
        predicted = probability > _THRESHOLD
        both = np.logical_and(predicted, self.truth).sum()
        dice = 2 * both / (predicted.sum() + self.truth.sum())
        return f', Dice {100 * dice:.1f} %'

    def _to_image(self, values: np.ndarray, smooth: bool) -> np.ndarray:
        height, width = self.explanation.image.shape[:2]
        method = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
        return cv2.resize(
            values.astype(np.float32), (width, height), interpolation=method
        )

    def _map(
        self,
        axes: Axes,
        values: np.ndarray,
        low: float,
        high: float,
        title: str,
        colormap: str = HEAT_COLORMAP,
        small: bool = False,
    ) -> AxesImage:
        """A map on the pale image; positions stay visible as squares."""
        _image(axes, self.ground, title, _TEXT - 0.5 if small else _TITLE)
        shown = self._to_image(values, smooth=False)
        return axes.imshow(
            np.ma.masked_invalid(shown),
            cmap=colormap,
            vmin=low,
            vmax=high if high > low else low + 1e-6,
            alpha=0.8,
            interpolation='nearest',
        )

    def _contour(
        self,
        axes: Axes,
        values: np.ndarray,
        style: dict,
        level: float = _THRESHOLD,
        edge: bool = True,
    ) -> None:
        values = np.asarray(values, dtype=float)
        if not values.min() < level < values.max():
            return
        lines = axes.contour(values, [level], **style)
        if edge:
            lines.set_path_effects(_EDGE)


def _rows_and_columns(count: int, most: int) -> tuple[int, int]:
    rows = -(-count // most)
    # As many in each row as can be, rather than a last row of one or two.
    return rows, -(-count // rows)


def _cells(figure: SubFigure, count: int, most: int) -> np.ndarray:
    """Axes of a grid, without the spare ones."""
    rows, columns = _rows_and_columns(count, most)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for spare in axes[count:]:
        spare.set_axis_off()
    return axes[:count]


def _image(axes: Axes, image: np.ndarray, title: str, size: float = _TITLE) -> None:
    axes.imshow(image, cmap='gray', vmin=0, vmax=255)
    axes.set_title(title, fontsize=size)
    axes.set_xticks([])
    axes.set_yticks([])


def _legend(axes: Axes, lines: list[tuple[dict, str]]) -> None:
    """Below the axes, where it hides nothing."""
    handles = []
    for style, words in lines:
        handle = Line2D(
            [],
            [],
            color=style['colors'],
            linestyle=style['linestyles'],
            linewidth=style['linewidths'],
            label=words,
        )
        if style['colors'] != 'black':
            handle.set_path_effects(_EDGE)
        handles.append(handle)
    axes.legend(
        handles=handles,
        loc='upper center',
        bbox_to_anchor=(0.5, 0.0),
        ncols=2,
        fontsize=_TEXT - 0.5,
        frameon=False,
    )


def _label(bar: Colorbar, words: str) -> None:
    bar.set_label(words, fontsize=_TEXT)
    bar.ax.tick_params(labelsize=_TEXT - 0.5)


def _wrap(name: str) -> str:
    return '\n'.join(textwrap.wrap(name, _NAME_CHARACTERS))


def _limit(difference: np.ndarray) -> float:
    """End of a symmetric colour scale."""
    return max(float(np.abs(difference).max()), _LEAST_DIFFERENCE)


def _area(probability: np.ndarray) -> float:
    """Share of the image that is predicted to be lesion."""
    return float((probability > _THRESHOLD).mean())
