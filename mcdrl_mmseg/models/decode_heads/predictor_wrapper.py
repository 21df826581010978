"""Base of a head that wraps another head and shows its settings to the segmentor."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from mmseg.utils import ConfigType
from torch import Tensor


class PredictorWrapper(BaseModule):
    """Base of a head that changes features and lets a predictor segment them.

    Segmentor, evaluation and export read settings of the decode head; the properties
    below return those of the predictor.

    Args:
        predictor: Config of any registered decode head.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self, predictor: ConfigType, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.predictor = MODELS.build(predictor)

    @property
    def num_classes(self) -> int:
        """The predictor's."""
        return self.predictor.num_classes

    @property
    def out_channels(self) -> int:
        """The predictor's."""
        return self.predictor.out_channels

    @property
    def align_corners(self) -> bool:
        """The predictor's."""
        return self.predictor.align_corners

    @property
    def threshold(self) -> float | None:
        """The predictor's, for one-channel binary segmentation; None if it has none."""
        return getattr(self.predictor, 'threshold', None)

    @property
    def ignore_index(self) -> int:
        """The predictor's."""
        return self.predictor.ignore_index


def use_all_outputs(
    losses: dict[str, Tensor], outputs: tuple[Tensor, ...]
) -> dict[str, Tensor]:
    """Add outputs that no loss may use to the total loss, with weight 0.

    Distributed training fails if a trained parameter takes no part in the loss, as the
    attention pool of a CLIP tower without a contrastive loss.

    Args:
        losses: A head's losses; at least one key contains "loss".
        outputs: The backbone's outputs. Those without gradient are skipped.

    Returns:
        The losses, of unchanged value.
    """
    # In float32: a sum that overflows float16 is infinite, and 0 times infinity is NaN.
    unused = [
        output.sum(dtype=torch.float32) * 0
        for output in outputs
        if output.requires_grad
    ]
    for name, loss in losses.items():
        # A head may return a list with one loss for each level.
        if 'loss' in name and isinstance(loss, Tensor):
            return {**losses, name: sum(unused, start=loss)}
    return losses
