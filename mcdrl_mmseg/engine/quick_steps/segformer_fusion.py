"""SegformerHead's levels fused before they are resized."""

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
    """Let SegformerHeads train as :class:`FoldedSegformerHead` does in the block.

    So that an MCDRL model and its baseline, which has the stock head, differ in what
    they learn and not in how quickly. Without a gradient it stays mmseg's, so that a
    validation during the training is that of a later test to the last bit.
    """
    stock = SegformerHead.forward

    def forward(self: SegformerHead, inputs: Features) -> Tensor:
        # A class of its own may have another fusing convolution.
        plain = type(self) is SegformerHead and not has_hooks_on_fusion(self)
        if plain and torch.is_grad_enabled() and not torch.compiler.is_compiling():
            return fuse_then_resize(self, inputs)
        return stock(self, inputs)

    return mock.patch.object(SegformerHead, 'forward', forward)
