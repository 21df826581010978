"""The four sections of the explanation's page."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from .explanation_panels import (
    PREDICTED_LINE,
    TEXT_SIZE,
    TRUTH_LINE,
    add_heading,
    add_legend,
    draw_bars,
    draw_contour,
    label_colorbar,
    pale_background,
    panel_grid,
    resize_map,
    show_image,
    show_map,
    wrap_title,
)

if TYPE_CHECKING:
    from mcdrl_mmseg.apis.explanation import Explanation

MAX_CLASS_COLUMNS, MAX_CONFOUNDER_COLUMNS = 5, 6
BARS_SHARE = 0.34
# Safe for colour-blind readers. Both ends are dark; lines show the sign.
_DIFFERENCE_COLORMAP = 'PuOr_r'
_THRESHOLD = 0.5
_UNIFORM = 0.05
# Smallest end of the colour scale; a smaller one would show rounding errors.
_MIN_DIFFERENCE = 0.05


class ExplanationSections:
    """Draws each section of the page into a subfigure.

    Args:
        explanation: The explanation to draw.
        truth: (H, W) bool, the true lesion, or None.
        true_confounders: Imaging conditions known to be in the image.
        ignored: (H, W) bool, pixels that Dice leaves out, or None.
    """

    def __init__(
        self,
        explanation: Explanation,
        truth: np.ndarray | None,
        true_confounders: tuple[str, ...],
        ignored: np.ndarray | None = None,
    ) -> None:
        self.explanation = explanation
        self.truth = truth
        self.true_confounders = true_confounders
        self.ignored = ignored
        self.background = pale_background(explanation.image)

    def draw_selection(self, section: SubFigure) -> None:
        """1: the image, CLIP's similarity to each class, and the positions kept."""
        add_heading(section, '1  Where CLIP sees a lesion, and the regions kept')
        explanation = self.explanation
        height, width = explanation.image.shape[:2]
        axes = panel_grid(section, len(explanation.class_names) + 2, MAX_CLASS_COLUMNS)

        show_image(axes[0], explanation.image, f'Image, {width} x {height} pixels')
        if self.truth is not None:
            draw_contour(axes[0], self.truth, TRUTH_LINE, _THRESHOLD)
            add_legend(axes[0], [(TRUTH_LINE, 'truth')])

        # Each class has its own colour scale: maps compare positions, not classes.
        for panel, name, values in zip(
            axes[1:-1], explanation.class_names, explanation.similarity
        ):
            title = f'Similarity to "{wrap_title(name)}"'
            limits = (values.min(), values.max())
            shown = show_map(
                panel,
                self.background,
                values,
                limits,
                title,
                window=explanation.window,
            )
            bar = section.colorbar(shown, ax=panel, shrink=0.85, pad=0.03)
            label_colorbar(bar, 'cosine similarity')

        kept = resize_map(explanation.kept, (height, width), explanation.window)
        kept = kept[..., None] > 0.5
        darkened = np.where(kept, explanation.image, explanation.image // 4)
        share = 100 * explanation.kept.mean()
        rows, columns = explanation.kept.shape
        title = f'Kept: {share:.0f} % of {rows} x {columns} positions'
        show_image(axes[-1], darkened, title)

    def draw_change(self, section: SubFigure) -> None:
        """2: the prediction at gate 0 and at gate 1, and the difference."""
        add_heading(section, '2  What the intervention changed')
        before, after = (
            self.explanation.lesion_probability[key] for key in ('gate_0', 'gate_1')
        )
        axes = section.subplots(1, 3)
        for panel, values, title in (
            (axes[0], before, 'Without intervention (gate 0)'),
            (axes[1], after, 'With intervention (gate 1)'),
        ):
            title += self._dice_text(values)
            shown = show_map(panel, self.background, values, (0, 1), title)
            draw_contour(panel, values, PREDICTED_LINE, _THRESHOLD)
            if self.truth is not None:
                draw_contour(panel, self.truth, TRUTH_LINE, _THRESHOLD)
        lines = [(PREDICTED_LINE, f'predicted lesion (above {_THRESHOLD:g})')]
        lines += [(TRUTH_LINE, 'truth')] if self.truth is not None else []
        add_legend(axes[0], lines)
        bar = section.colorbar(shown, ax=list(axes[:2]), shrink=0.9, pad=0.02)
        label_colorbar(bar, 'lesion probability')
        self._draw_difference(section, axes[2], after - before)

    def draw_weights(self, section: SubFigure) -> None:
        """3: weights of the confounders, overall and at each position."""
        explanation = self.explanation
        if explanation.approximation == 'attention':
            heading = '3  Attention to each imaging condition'
            bars_unit = 'share of attention, mean over the kept positions'
            maps_unit = 'share of attention'
            if is_uniform(explanation.attention_maps):
                heading += ': uniform, no condition stands out'
        else:
            heading = (
                f'3  Weights P(z) of the imaging conditions: with '
                f'"{explanation.approximation}" the same for every image'
            )
            bars_unit = maps_unit = 'P(z)'
        left, right = self._bars_and_maps(section, heading)

        axes = left.subplots()
        self._draw_condition_bars(axes, explanation.attention, '{:.3f}')
        axes.set_xlim(right=max(axes.get_xlim()[1], 2 / len(explanation.attention)))
        axes.axvline(
            1 / len(explanation.attention), color='black', linestyle=':', linewidth=1.2
        )
        axes.set_xlabel(f'{bars_unit}\n(dotted: all alike; they always sum to 1)')

        maps = explanation.attention_maps
        # Uniform weights are in the middle of the scale, not at its end.
        limits = (0, max(float(np.nanmax(maps)), 2 / len(maps)))
        panels = panel_grid(right, len(maps), MAX_CONFOUNDER_COLUMNS)
        for panel, values, name in zip(panels, maps, explanation.confounder_names):
            title = self._mark_present(name, wrap_title(name))
            shown = show_map(
                panel,
                self.background,
                values,
                limits,
                title,
                small=True,
                window=explanation.window,
            )
        bar = right.colorbar(shown, ax=list(panels), shrink=0.8, pad=0.02, aspect=30)
        label_colorbar(bar, maps_unit)

    def draw_per_confounder(self, section: SubFigure) -> None:
        """4: the prediction under each single confounder, do(z)."""
        heading = (
            '4  Prediction under each single imaging condition, do(z): its outline, '
            'and what it changes'
        )
        left, right = self._bars_and_maps(section, heading)
        per_confounder = self.explanation.per_confounder
        self._draw_areas(left.subplots(), per_confounder)

        panels = panel_grid(right, len(per_confounder), MAX_CONFOUNDER_COLUMNS)
        after = self.explanation.lesion_probability['gate_1']
        limit = _symmetric_limit(per_confounder - after)
        for panel, values, name in zip(
            panels, per_confounder, self.explanation.confounder_names
        ):
            shown = show_map(
                panel,
                self.background,
                values - after,
                (-limit, limit),
                self._mark_present(name, wrap_title(name)),
                _DIFFERENCE_COLORMAP,
                small=True,
            )
            style = {**PREDICTED_LINE, 'linewidths': 1.0}
            draw_contour(panel, values, style, _THRESHOLD)
        bar = right.colorbar(shown, ax=list(panels), shrink=0.8, pad=0.02, aspect=30)
        label_colorbar(bar, 'change of probability from gate 1')

    @staticmethod
    def _bars_and_maps(section: SubFigure, heading: str) -> tuple[SubFigure, SubFigure]:
        """The left and right part of a section."""
        add_heading(section, heading)
        left, right = section.subfigures(
            1, 2, width_ratios=[BARS_SHARE, 1 - BARS_SHARE]
        )
        return left, right

    def _draw_areas(self, axes: Axes, per_confounder: np.ndarray) -> None:
        """Predicted area under each confounder, and at gate 0 and 1."""
        areas = np.array([100 * lesion_share(p) for p in per_confounder])
        self._draw_condition_bars(axes, areas, '{:.1f}')
        for key, style, label in (
            ('gate_0', ':', 'without intervention'),
            ('gate_1', '--', 'with intervention'),
        ):
            area = 100 * lesion_share(self.explanation.lesion_probability[key])
            axes.axvline(
                area, color='black', linestyle=style, linewidth=1.4, label=label
            )
            axes.set_xlim(right=max(axes.get_xlim()[1], 1.05 * area))
        axes.set_xlabel(
            'predicted lesion, % of the image\n'
            '(each bar: that condition alone at every position;\n'
            'with intervention all of them, by their weights,\n'
            'so that no single one need agree with it)'
        )
        axes.legend(
            fontsize=TEXT_SIZE - 1,
            loc='lower center',
            bbox_to_anchor=(0.5, 1.0),
            ncols=2,
            frameon=False,
        )

    def _draw_condition_bars(
        self, axes: Axes, values: np.ndarray, number_format: str
    ) -> None:
        names = self.explanation.confounder_names
        labels = [
            self._mark_present(name, textwrap.shorten(name, 32, placeholder='...'))
            for name in names
        ]
        present = [name in self.true_confounders for name in names]
        draw_bars(axes, values, labels, present, number_format)

    def _mark_present(self, name: str, label: str) -> str:
        return f'{label}\n(present)' if name in self.true_confounders else label

    def _draw_difference(
        self, section: SubFigure, axes: Axes, difference: np.ndarray
    ) -> None:
        limit = _symmetric_limit(difference)
        shown = show_map(
            axes,
            self.background,
            difference,
            (-limit, limit),
            'Change (gate 1 - gate 0)',
            _DIFFERENCE_COLORMAP,
        )
        lines = []
        for level, style, label in (
            (limit / 2, 'solid', 'gained'),
            (-limit / 2, 'dotted', 'lost'),
        ):
            line = dict(colors='black', linewidths=1.2, linestyles=style)
            draw_contour(axes, difference, line, level, edge=False)
            lines.append((line, f'{label} half of the scale or more'))
        add_legend(axes, lines)
        bar = section.colorbar(shown, ax=axes, shrink=0.9, pad=0.02)
        label_colorbar(bar, 'change of probability')

    def _dice_text(self, probability: np.ndarray) -> str:
        if self.truth is None or not self.truth.any():
            return ''
        dice = lesion_dice(probability, self.truth, self.ignored)
        return f', Dice {100 * dice:.1f} %'


def is_uniform(weights: np.ndarray) -> bool:
    """Whether all conditions have nearly the same weight.

    Args:
        weights: (M, ...), shares that sum to 1 over the first axis; NaN is ignored.

    Returns:
        Whether each weight is within 5 % of 1 / M.
    """
    return bool(np.nanmax(np.abs(len(weights) * weights - 1)) < _UNIFORM)


def lesion_dice(
    probability: np.ndarray, truth: np.ndarray, ignored: np.ndarray | None = None
) -> float:
    """Dice of the predicted lesion.

    Args:
        probability: (H, W), lesion probability.
        truth: (H, W) bool, the true lesion, which is not empty.
        ignored: (H, W) bool, pixels that are left out; none of them is true lesion.
    """
    predicted = probability > _THRESHOLD
    if ignored is not None:
        predicted &= ~ignored
    return float(2 * (predicted & truth).sum() / (predicted.sum() + truth.sum()))


def lesion_share(probability: np.ndarray) -> float:
    """Share of the image that is predicted to be lesion."""
    return float((probability > _THRESHOLD).mean())


def _symmetric_limit(difference: np.ndarray) -> float:
    """End of a symmetric colour scale."""
    return max(float(np.abs(difference).max()), _MIN_DIFFERENCE)
