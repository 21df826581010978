"""Colours, line styles and markers that can be told apart even without colour."""

from __future__ import annotations

# Okabe and Ito's colours that are visible as thin lines on white.
LINE_COLORS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#000000', '#E69F00')
LINE_STYLES = ('-', '--', ':', '-.', (0, (6, 1, 1, 1, 1, 1)))
MARKERS = ('o', 's', '^', 'D', 'v', 'P', 'X', '*')


def line_style(number: int) -> dict:
    """Colour and line style of the n-th line of a plot, for Matplotlib.

    Six colours and five line styles give thirty different lines.

    Args:
        number: Number of the line, from 0.
    """
    return dict(
        color=LINE_COLORS[number % len(LINE_COLORS)],
        linestyle=LINE_STYLES[number % len(LINE_STYLES)],
    )


def mark_style(number: int) -> dict:
    """Colour and marker of the n-th group of points, for ``Axes.scatter``.

    Args:
        number: Number of the group, from 0.
    """
    return dict(
        color=LINE_COLORS[number % len(LINE_COLORS)],
        marker=MARKERS[number % len(MARKERS)],
    )
