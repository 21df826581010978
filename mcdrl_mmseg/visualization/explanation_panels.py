"""Panels of the explanation's page: images, maps, contours, bars and legends."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.figure import SubFigure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from .overlay import HEAT_COLORMAP
from .padding import WHOLE, Window, onto_image

TITLE_SIZE, TEXT_SIZE = 10.5, 9.0
PREDICTED_LINE = dict(colors='white', linewidths=1.6, linestyles='solid')
TRUTH_LINE = dict(colors='#F0E442', linewidths=1.6, linestyles='dashed')
_LINE_EDGE = [withStroke(linewidth=3.0, foreground='black')]
_BAR_COLOR = '#0072B2'
_TITLE_CHARACTERS = 22
# Offset and gain. The image is pale and low in contrast, so that the map stands out.
_BACKGROUND_CONTRAST = (70, 0.45)


def rows_and_columns(count: int, max_columns: int) -> tuple[int, int]:
    """Rows and columns of a grid, with rows as equally filled as possible."""
    rows = -(-count // max_columns)
    return rows, -(-count // rows)


def panel_grid(section: SubFigure, count: int, max_columns: int) -> np.ndarray:
    """Axes of a grid, (count,); unused ones are hidden."""
    rows, columns = rows_and_columns(count, max_columns)
    axes = section.subplots(rows, columns, squeeze=False).ravel()
    for unused in axes[count:]:
        unused.set_axis_off()
    return axes[:count]


def add_heading(section: SubFigure, text: str) -> None:
    """Bold heading of a section, at its left."""
    section.suptitle(
        text, fontsize=TITLE_SIZE + 1, fontweight='bold', x=0.01, ha='left'
    )


def wrap_title(name: str) -> str:
    """A name on as many lines as a panel's width needs."""
    return '\n'.join(textwrap.wrap(name, _TITLE_CHARACTERS))


def pale_background(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8, red first -> (H, W) uint8, for :func:`show_map`."""
    offset, gain = _BACKGROUND_CONTRAST
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return (offset + gain * grey).astype(np.uint8)


def resize_map(
    values: np.ndarray, size: tuple[int, int], window: Window = WHOLE
) -> np.ndarray:
    """(h, w) -> (H, W) float32 by nearest neighbour, so that positions stay visible."""
    return onto_image(values.astype(np.float32), size, window)


def show_image(
    axes: Axes, image: np.ndarray, title: str, size: float = TITLE_SIZE
) -> None:
    """An image, (H, W) or (H, W, 3) uint8, under a title of a font size."""
    axes.imshow(image, cmap='gray', vmin=0, vmax=255)
    axes.set_title(title, fontsize=size)
    axes.set_xticks([])
    axes.set_yticks([])


def show_map(
    axes: Axes,
    background: np.ndarray,
    values: np.ndarray,
    limits: tuple[float, float],
    title: str,
    colormap: str = HEAT_COLORMAP,
    small: bool = False,
    window: Window = WHOLE,
) -> AxesImage:
    """A map over the pale image.

    Args:
        axes: The panel.
        background: (H, W) uint8, see :func:`pale_background`.
        values: (h, w); NaN is transparent.
        limits: Values of the first and of the last colour.
        title: Title of the panel.
        colormap: Name of a Matplotlib colour map.
        small: Whether the title is in a small font.
        window: Part of the map that covers the image.

    Returns:
        The Matplotlib image, for a colour bar.
    """
    show_image(axes, background, title, TEXT_SIZE - 0.5 if small else TITLE_SIZE)
    low, high = limits
    return axes.imshow(
        np.ma.masked_invalid(resize_map(values, background.shape, window)),
        cmap=colormap,
        vmin=low,
        vmax=high if high > low else low + 1e-6,
        alpha=0.8,
        interpolation='nearest',
    )


def draw_contour(
    axes: Axes, values: np.ndarray, style: dict, level: float, edge: bool = True
) -> None:
    """The line where values, (H, W), cross a level, if there is one.

    Args:
        axes: The panel.
        values: (H, W); bool counts as 0 and 1.
        style: Arguments of ``Axes.contour``.
        level: Value on the line.
        edge: Whether the line has a black edge.
    """
    values = np.asarray(values, dtype=float)
    if not values.min() < level < values.max():
        return
    lines = axes.contour(values, [level], **style)
    if edge:
        lines.set_path_effects(_LINE_EDGE)


def add_legend(axes: Axes, lines: list[tuple[dict, str]]) -> None:
    """Legend of contour styles below the panel, where it covers nothing."""
    handles = []
    for style, label in lines:
        handle = Line2D(
            [],
            [],
            color=style['colors'],
            linestyle=style['linestyles'],
            linewidth=style['linewidths'],
            label=label,
        )
        if style['colors'] != 'black':
            handle.set_path_effects(_LINE_EDGE)
        handles.append(handle)
    axes.legend(
        handles=handles,
        loc='upper center',
        bbox_to_anchor=(0.5, 0.0),
        ncols=2,
        fontsize=TEXT_SIZE - 0.5,
        frameon=False,
    )


def label_colorbar(bar: Colorbar, text: str) -> None:
    """Label and numbers of a colour bar in the page's sizes."""
    bar.set_label(text, fontsize=TEXT_SIZE)
    bar.ax.tick_params(labelsize=TEXT_SIZE - 0.5)


def draw_bars(
    axes: Axes,
    values: np.ndarray,
    labels: Sequence[str],
    hatched: Sequence[bool],
    number_format: str,
) -> None:
    """Horizontal bars from top to bottom, with their numbers.

    Args:
        axes: The panel.
        values: (M,), not negative.
        labels: M labels.
        hatched: M flags.
        number_format: Format of the numbers, as ``'{:.1f}'``.
    """
    bars = axes.barh(
        np.arange(len(labels))[::-1],
        values,
        color=_BAR_COLOR,
        edgecolor='black',
        hatch=['//' if mark else '' for mark in hatched],
        height=0.72,
    )
    axes.bar_label(
        bars,
        [number_format.format(value) for value in values],
        padding=3,
        fontsize=TEXT_SIZE - 1,
        path_effects=[withStroke(linewidth=3.0, foreground='white')],
    )
    axes.set_yticks(np.arange(len(labels))[::-1], labels, linespacing=0.9)
    axes.tick_params(labelsize=TEXT_SIZE)
    axes.xaxis.label.set_size(TEXT_SIZE)
    axes.set_xlim(0, max(1.18 * float(values.max()), 1e-3))
    axes.set_ylim(-0.6, len(labels) - 0.4)
    axes.grid(axis='x', alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[['top', 'right']].set_visible(False)
