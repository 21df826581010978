"""Adds pictures to the backends of MMEngine's visualizer, MLflow included."""

from __future__ import annotations

import numpy as np
from mmengine.dist import master_only
from mmengine.visualization import Visualizer
from mmengine.visualization.vis_backend import MLflowVisBackend


@master_only
def add_picture(
    visualizer: Visualizer, name: str, picture: np.ndarray, step: int
) -> None:
    """Like ``Visualizer.add_image``, but works with MLflow as well.

    MMEngine passes the name to MLflow as a file name. MLflow refuses it without a
    suffix, and every later step would overwrite the file.

    Args:
        visualizer: The visualizer.
        name: Name of the picture.
        picture: (H, W, 3) uint8, red first.
        step: Global step.
    """
    for backend in visualizer._vis_backends.values():
        if isinstance(backend, MLflowVisBackend):
            backend.add_image(f'{name}_{step}.png', picture, step)
        else:
            backend.add_image(name, picture, step)
