"""Labels of a data set's masks."""

from __future__ import annotations

import numpy as np

from mcdrl_common.findings import FileProblem
from mcdrl_common.mask_files import read_mask_pixels
from mcdrl_common.mask_format import MaskError
from mcdrl_common.verification.entry import Entry


def read_labels(entry: Entry) -> np.ndarray:
    """Read the mask of an image as training does.

    Args:
        entry: The image and its mask.

    Returns:
        (H, W) uint8: 0 for healthy tissue, 1 and more for lesion classes, 255 for
        ignored pixels.

    Raises:
        MaskError: It cannot be read, or holds unexpected values.
    """
    try:
        pixels = read_mask_pixels(entry.mask)
    except FileProblem as problem:
        raise MaskError(
            f'{entry.mask}: not a readable image: {problem.detail}.'
        ) from None
    labels, _ = entry.mask_format.decode(pixels, entry.mask)
    return labels
