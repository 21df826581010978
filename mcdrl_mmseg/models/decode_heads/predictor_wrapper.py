"""A head in front of another, which the segmentor sees as that other one."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from mmseg.utils import ConfigType
from torch import Tensor


class PredictorWrapper(BaseModule):
    """Base of a head that changes features and lets a predictor segment them.

    Segmentor, evaluation and export read a head's classes and settings; they get the
    predictor's.

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
        """The predictor's, of one-channel binary segmentation; not all have one."""
        return getattr(self.predictor, 'threshold', None)

    @property
    def ignore_index(self) -> int:
        """The predictor's."""
        return self.predictor.ignore_index


def use_all_outputs(
    losses: dict[str, Tensor], outputs: tuple[Tensor, ...]
) -> dict[str, Tensor]:
    """Tie outputs that a loss may not use to the total, with weight 0.

    Distributed training fails when a trained parameter has no part in the loss, as
    the attention pool of a CLIP tower would if no contrastive loss were set.

    Args:
        losses: Of a head; at least one key contains "loss".
        outputs: Of the backbone. Those without gradient are left out.

    Returns:
        The losses, of unchanged value.
    """
    # In float32: a sum beyond float16 would be infinite, and 0 times infinity NaN.
    unused = [
        output.sum(dtype=torch.float32) * 0
        for output in outputs
        if output.requires_grad
    ]
    for name, loss in losses.items():
        # A head may give a list, of one loss a level.
        if 'loss' in name and isinstance(loss, Tensor):
            return {**losses, name: sum(unused, start=loss)}
    return losses
