"""One image with its predicted and its true lesion."""

from __future__ import annotations

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke

from mcdrl_common.figure_files import figure_array
from mcdrl_common.mask_format import is_lesion

from .overlay import MASK_COLORS, mask_overlay

_TRUTH_COLOR = 'white'
_DPI = 100
# White dashes on a black line show on any tissue.
_TRUTH_EFFECTS = (Stroke(linewidth=3.2, foreground='black'), Normal())


def draw_case(
    axes: Axes, image: np.ndarray, prediction: np.ndarray, truth: np.ndarray | None
) -> None:
    """Draw an image, the prediction filled and the truth as a dashed outline.

    Args:
        axes: Axes to draw into; their ticks are removed.
        image: (H, W, 3) uint8, red first.
        prediction: (H, W) labels, 0 is background.
        truth: (H, W) labels, 255 is ignored; or None.
    """
    axes.imshow(mask_overlay(image, prediction))
    if truth is not None:
        draw_outline(axes, is_lesion(truth))
    axes.set_axis_off()


def draw_outline(axes: Axes, inside: np.ndarray) -> None:
    """Draw the border of a region as white dashes on black.

    Args:
        axes: Axes to draw into; their data units are pixels.
        inside: (H, W) bool.
    """
    if not inside.any() or inside.all():
        return
    contours = axes.contour(
        inside.astype(float), levels=[0.5], colors=_TRUTH_COLOR, linewidths=1.6
    )
    contours.set_linestyle((0, (4, 2)))
    contours.set_path_effects(list(_TRUTH_EFFECTS))


def case_legend() -> list[Artist]:
    """Legend of :func:`draw_case`, for ``legend(handles=...)``."""
    color = tuple(value / 255 for value in MASK_COLORS[0])
    truth = Line2D([], [], color=_TRUTH_COLOR, linestyle=(0, (4, 2)), linewidth=1.6)
    truth.set_path_effects(list(_TRUTH_EFFECTS))
    truth.set_label('truth')
    return [
        Patch(facecolor=(*color, 0.5), edgecolor=color, label='prediction'),
        truth,
    ]


def case_picture(
    image: np.ndarray,
    prediction: np.ndarray,
    truth: np.ndarray | None,
    width: int = 480,
) -> np.ndarray:
    """The drawing of :func:`draw_case` alone, as an image.

    Args:
        image: (H, W, 3) uint8, red first.
        prediction: (H, W) labels.
        truth: (H, W) labels, or None.
        width: Width of the picture in pixels; the height follows.

    Returns:
        (H', width, 3) uint8, red first.
    """
    height = round(width * image.shape[0] / image.shape[1])
    figure = Figure(figsize=(width / _DPI, height / _DPI))
    axes = figure.add_axes((0, 0, 1, 1))
    draw_case(axes, image, prediction, truth)
    axes.set_aspect('auto')
    return figure_array(figure, _DPI)
