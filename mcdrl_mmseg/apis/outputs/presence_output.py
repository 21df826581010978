"""Masks that are emptied if the network's confidence is below a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mcdrl_common.own_confidence import own_confidence

from ..inferencer import Prediction
from .output_base import Frame, ThresholdOutput
from .plain_outputs import MaskOutput


class PresenceMaskOutput(MaskOutput):
    """``presence/NAME.png``: as ``masks/``, but empty below a confidence threshold.

    Args:
        out: Folder of all results.
        classes: Names of the classes, the background first.
        threshold: See :data:`mcdrl_common.threshold_file.PRESENCE`.
    """

    folder = 'presence'

    def __init__(self, out: Path, classes: Sequence[str], threshold: float) -> None:
        super().__init__(out, classes)
        self.threshold = threshold

    def picture(self, frame: Frame, prediction: Prediction) -> np.ndarray:
        """(H, W) uint8."""
        mask = super().picture(frame, prediction)
        if expected_dice(prediction) < self.threshold:
            return np.zeros_like(mask)
        return mask


class PresenceOutput(ThresholdOutput):
    """``presence.json``: the confidence in each mask, and which masks are empty."""

    file_name = 'presence.json'
    heading = 'presence'

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Add one image."""
        own = expected_dice(prediction)
        marked = bool(prediction.labels.any())
        self._note_image(frame).update(
            self_dice=round(own, 4),
            lesion=marked and own >= self.threshold,
            emptied=marked and own < self.threshold,
        )


def expected_dice(prediction: Prediction) -> float:
    """Dice that the network's uncalibrated probability implies for its mask.

    Args:
        prediction: Prediction for one image.

    Returns:
        ``self_dice`` of :func:`~mcdrl_common.own_confidence.own_confidence`.
    """
    own = prediction.uncalibrated_probability
    return own_confidence(own, prediction.labels > 0)['self_dice'] or 0.0
