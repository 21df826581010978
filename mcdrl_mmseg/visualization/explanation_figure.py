"""One-page figure that explains MCDRL's prediction for one image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .explanation_panels import TITLE_SIZE, rows_and_columns
from .explanation_sections import (
    BARS_SHARE,
    MAX_CLASS_COLUMNS,
    MAX_CONFOUNDER_COLUMNS,
    ExplanationSections,
    lesion_share,
)

if TYPE_CHECKING:
    from mcdrl_mmseg.apis.explanation import Explanation

_WIDTH_INCHES = 15.0


def explanation_figure(
    explanation: Explanation,
    truth: np.ndarray | None = None,
    true_confounders: Sequence[str] | None = None,
    title: str | None = None,
    ignored: np.ndarray | None = None,
) -> Figure:
    """Draw an explanation.

    From top to bottom: the image, CLIP's similarity to each class and the regions
    kept; the prediction without and with the intervention, and its change; the
    weights of the confounders, as bars and as maps; the prediction under each single
    confounder.

    Args:
        explanation: The explanation to draw.
        truth: (H, W) bool, the true lesion; it is outlined, and Dice is shown.
        true_confounders: Names of imaging conditions known to be in the image; they
            are marked.
        title: Title of the page, as the name of the image.
        ignored: (H, W) bool, pixels that Dice leaves out.

    Returns:
        The figure, to be saved at 100 dots an inch or more.

    Raises:
        ValueError: The truth has another size than the image.
    """
    if truth is not None and truth.shape != explanation.image.shape[:2]:
        raise ValueError(
            f'the ground truth is {truth.shape[1]} x {truth.shape[0]} pixels, the '
            f'image {explanation.image.shape[1]} x {explanation.image.shape[0]} '
            '(width x height). Both must have the same size.'
        )
    heights = _section_heights(explanation)
    figure = Figure(figsize=(_WIDTH_INCHES, sum(heights) + 0.5), layout='constrained')
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.04, h_pad=0.05, wspace=0.02, hspace=0.03)
    figure.suptitle(_headline(explanation, title), fontsize=TITLE_SIZE + 2)
    parts = figure.subfigures(len(heights), 1, height_ratios=heights)
    names = tuple(true_confounders or ())
    sections = ExplanationSections(explanation, truth, names, ignored)
    sections.draw_selection(parts[0])
    sections.draw_change(parts[1])
    sections.draw_weights(parts[2])
    sections.draw_per_confounder(parts[3])
    return figure


def _section_heights(explanation: Explanation) -> list[float]:
    """Inches that each section needs."""
    height, width = explanation.image.shape[:2]
    aspect = float(np.clip(height / width, 0.4, 1.6))
    # Section 1: image, classes and kept positions, with titles and legend.
    count = len(explanation.class_names) + 2
    rows, columns = rows_and_columns(count, MAX_CLASS_COLUMNS)
    selection = rows * (aspect * _WIDTH_INCHES / max(columns, 4) * 0.9 + 0.5)
    # Section 2: three panels in one row.
    change = aspect * _WIDTH_INCHES / 3 * 0.78 + 0.6
    # Sections 3 and 4: a bar and a map for each confounder; the taller half counts.
    confounders = len(explanation.confounder_names)
    rows, columns = rows_and_columns(confounders, MAX_CONFOUNDER_COLUMNS)
    panel = aspect * _WIDTH_INCHES * (1 - BARS_SHARE) / columns * 0.88 + 0.4
    per_confounder = max(rows * panel, 0.24 * confounders + 0.8) + 0.35
    return [selection + 0.4, change + 0.4, per_confounder, per_confounder]


def _headline(explanation: Explanation, title: str | None) -> str:
    """Title, and the result in words."""
    before, after = (
        f'{100 * lesion_share(explanation.lesion_probability[key]):.1f} %'
        for key in ('gate_0', 'gate_1')
    )
    result = (
        f'Predicted lesion: {before} of the image without intervention, '
        f'{after} with it.  Gate of the model: {explanation.gate:g}'
    )
    return f'{title}\n{result}' if title else result
