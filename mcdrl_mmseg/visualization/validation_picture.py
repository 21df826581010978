"""One validated image: prediction, selected regions, attention to confounders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mcdrl_common.palette import LINE_COLORS

from .case_picture import case_legend, draw_case, draw_outline
from .overlay import HEAT_COLORMAP, heat_map
from .padding import WHOLE, Window, onto_image

_PANEL_WIDTH = 4.0


@dataclass(frozen=True)
class ValidatedImage:
    """A model's results for one image.

    Attributes:
        prediction: (H, W) labels.
        truth: (H, W) labels, or None.
        similarity: (h, w) S^, or None without a selector.
        kept: (h', w') bool, the selected positions, or None.
        attention: (M,), sums to 1, or None if the head trains no attention.
        window: Part of ``similarity`` and ``kept`` that covers the image.
    """

    prediction: np.ndarray
    truth: np.ndarray | None = None
    similarity: np.ndarray | None = None
    kept: np.ndarray | None = None
    attention: np.ndarray | None = None
    window: Window = WHOLE


def validation_picture(
    image: np.ndarray, result: ValidatedImage, names: Sequence[str], title: str
) -> Figure:
    """Draw the results of an image side by side.

    Args:
        image: (H, W, 3) uint8, red first.
        result: The model's results.
        names: M names of the confounders.
        title: Title of the picture.
    """
    size = image.shape[:2]
    panels = 1 + (result.similarity is not None) + (result.attention is not None)
    height = _PANEL_WIDTH * min(1.2, size[0] / size[1]) + 1.0
    figure = Figure(figsize=(_PANEL_WIDTH * panels, height), layout='constrained')
    figure.suptitle(title, fontsize=11)
    axes = iter(figure.subplots(1, panels, squeeze=False)[0])

    first = next(axes)
    truth = None if result.truth is None else _resized(result.truth, size)
    draw_case(first, image, _resized(result.prediction, size), truth)
    first.set_title('prediction and truth', fontsize=10)
    # White dashes need a dark background in the legend as well.
    figure.legend(
        handles=case_legend(),
        loc='outside lower left',
        ncols=2,
        fontsize=9,
        facecolor='lightgrey',
    )
    if result.similarity is not None:
        _draw_similarity(
            next(axes), image, result.similarity, result.kept, result.window
        )
    if result.attention is not None:
        _draw_attention(next(axes), result.attention, names)
    return figure


def _draw_similarity(
    axes: Axes,
    image: np.ndarray,
    similarity: np.ndarray,
    kept: np.ndarray | None,
    window: Window,
) -> None:
    low, high = float(similarity.min()), float(similarity.max())
    axes.imshow(heat_map(image, similarity, low, high, window=window))
    title = 'similarity to the lesion text'
    if kept is not None:
        draw_outline(axes, _resized(kept, image.shape[:2], window) > 0)
        title += ', dashed: kept'
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()
    colors = ScalarMappable(Normalize(low, high), HEAT_COLORMAP)
    axes.figure.colorbar(colors, ax=axes, label='cosine', shrink=0.8)


def _draw_attention(axes: Axes, attention: np.ndarray, names: Sequence[str]) -> None:
    heights = np.arange(len(names))
    axes.barh(heights, 100 * attention, color=LINE_COLORS[0], edgecolor='black')
    axes.set_yticks(heights, names, fontsize=9)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel('attention (%)', fontsize=9)
    axes.set_title('confounders in the kept regions', fontsize=10)
    axes.grid(axis='x', alpha=0.3)
    axes.set_axisbelow(True)


def _resized(
    mask: np.ndarray, size: tuple[int, int], window: Window = WHOLE
) -> np.ndarray:
    """Resize a label map or region by nearest neighbour."""
    return onto_image(np.ascontiguousarray(mask, dtype=np.uint8), size, window)
