"""Masks at the threshold of ``python -m mcdrl_lab conformal``, with its guarantee."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..image_pipeline import at_threshold
from ..inferencer import Prediction
from .output_base import (
    LESION_VALUE,
    Frame,
    ImageOutput,
    ThresholdOutput,
    run_lengths,
)


class ConformalMaskOutput(ImageOutput):
    """``conformal/NAME.png``: 255 where the probability is at least a threshold.

    Args:
        out: Folder of all results.
        classes: Names of the classes, the background first.
        threshold: See :data:`mcdrl_common.threshold_file.CONFORMAL`.
    """

    folder = 'conformal'

    def __init__(self, out: Path, classes: Sequence[str], threshold: float) -> None:
        super().__init__(out, classes)
        self.threshold = threshold

    def picture(self, frame: Frame, prediction: Prediction) -> np.ndarray:
        """(H, W) uint8."""
        mask = at_threshold(prediction.uncalibrated_probability, self.threshold)
        return np.where(mask, LESION_VALUE, 0).astype(np.uint8)


class ConformalOutput(ThresholdOutput):
    """``conformal.json``: the same masks as RLE, and the threshold's guarantee."""

    file_name = 'conformal.json'
    heading = 'conformal'

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Add the mask and the highest probability of one image."""
        mask = at_threshold(prediction.uncalibrated_probability, self.threshold)
        self._note_image(frame).update(
            mask=run_lengths(mask),
            area=int(mask.sum()),
            highest_probability=round(float(prediction.lesion_probability.max()), 4),
            calibrated=prediction.network_probability is not None,
        )
