"""Pictures to the backends of MMEngine's visualizer, each in the way it can take."""

from __future__ import annotations

import numpy as np
from mmengine.dist import master_only
from mmengine.visualization import Visualizer
from mmengine.visualization.vis_backend import MLflowVisBackend


@master_only
def add_picture(
    visualizer: Visualizer, name: str, picture: np.ndarray, step: int
) -> None:
    """As ``Visualizer.add_image``, and MLflow takes it too.

    MMEngine hands the name to MLflow as that of a file, which MLflow refuses without
    an ending and which every later step would overwrite.

    Args:
        visualizer: Where to.
        name: Of the picture.
        picture: (H, W, 3) uint8, red first.
        step: Global step.
    """
    for backend in visualizer._vis_backends.values():
        if isinstance(backend, MLflowVisBackend):
            backend.add_image(f'{name}_{step}.png', picture, step)
        else:
            backend.add_image(name, picture, step)
