"""The green box that shows the endoscope's position, burned into images."""

from __future__ import annotations

import numpy as np
from PIL import Image

# The box is uniform green or turquoise, in the lower left corner. Mucosa and blue dye
# are never both this green and this uniform.
_GREEN_OVER_RED = 60
_GREEN_OVER_BLUE = 20
_EVENNESS = 20
_SHARE = 0.04
_THUMBNAIL = (64, 64)


def has_position_box(image: Image.Image) -> bool:
    """Whether a green position box is burned into the lower left corner.

    Args:
        image: RGB.
    """
    small = np.asarray(image.resize(_THUMBNAIL, Image.Resampling.BOX), dtype=int)
    corner = small[_THUMBNAIL[1] // 2 :, : _THUMBNAIL[0] // 2].reshape(-1, 3)
    red, green, blue = corner.T
    is_green = (green > red + _GREEN_OVER_RED) & (green > blue + _GREEN_OVER_BLUE)
    if not is_green.any():
        return False
    distance = np.abs(corner - np.median(corner[is_green], axis=0)).max(axis=1)
    return bool((is_green & (distance <= _EVENNESS)).mean() > _SHARE)
