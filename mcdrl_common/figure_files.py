"""Matplotlib figures as files and arrays."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .atomic_write import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_figure(figure: Figure, path: str | os.PathLike) -> None:
    """Write a figure atomically.

    Args:
        figure: The figure.
        path: The file; its suffix determines the format.

    Raises:
        ValueError: Matplotlib does not write this format.
    """
    path = Path(path)
    known = sorted(figure.canvas.get_supported_filetypes())
    if path.suffix[1:].lower() not in known:
        raise ValueError(
            f'{path}: a picture needs one of the endings {", ".join(known)}.'
        )
    # Without the date, equal figures give equal files.
    metadata = {'CreationDate': None} if path.suffix == '.pdf' else None
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=200, metadata=metadata)


def figure_array(figure: Figure, dpi: float = 100) -> np.ndarray:
    """Draw a figure.

    Args:
        figure: The figure.
        dpi: Pixels per inch.

    Returns:
        (H, W, 3) uint8, red first.
    """
    import cv2

    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi, format='png')
    encoded = np.frombuffer(buffer.getvalue(), np.uint8)
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1].copy()
