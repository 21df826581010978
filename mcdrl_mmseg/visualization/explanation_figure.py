"""One page on one image: what MCDRL saw, found and changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from mcdrl_mmseg.apis.explanation import Explanation


def explanation_figure(
    explanation: Explanation,
    truth: np.ndarray | None = None,
    true_confounders: Sequence[str] | None = None,
) -> Figure:
    """Draw an explanation.

    Args:
        explanation: What to draw.
        truth: (H, W) bool, where the lesion is, to be outlined.
        true_confounders: Names of imaging conditions known to be in the image.
    """
    figure = Figure(figsize=(12, 9), layout='constrained')
    FigureCanvasAgg(figure)
    figure.add_subplot().imshow(explanation.image)
    return figure
