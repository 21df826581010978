"""Fuses the levels of a SegformerHead before resizing them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from unittest import mock

import torch
from mmseg.models.decode_heads import SegformerHead
from torch import Tensor

from mcdrl_mmseg.models.decode_heads.folded_segformer_head import (
    fuse_then_resize,
    has_hooks_on_fusion,
)
from mcdrl_mmseg.models.feature_levels import Features


def quick_segformer_fusion() -> AbstractContextManager[object]:
    """Context in which SegformerHeads train like :class:`FoldedSegformerHead`.

    A baseline with the stock head then trains as fast as the MCDRL model. Without
    gradients mmseg's code is used, so that a validation during training equals a later
    test bit for bit.
    """
    stock = SegformerHead.forward

    def forward(self: SegformerHead, inputs: Features) -> Tensor:
        # A subclass may have another fusing convolution.
        plain = type(self) is SegformerHead and not has_hooks_on_fusion(self)
        if plain and torch.is_grad_enabled() and not torch.compiler.is_compiling():
            return fuse_then_resize(self, inputs)
        return stock(self, inputs)

    return mock.patch.object(SegformerHead, 'forward', forward)
