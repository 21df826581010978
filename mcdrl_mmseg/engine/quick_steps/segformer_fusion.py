"""SegformerHead's levels fused before they are resized."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmseg.models.decode_heads import SegformerHead
from torch import Tensor

from mcdrl_mmseg.models.decode_heads.folded_segformer_head import fuse_then_resize
from mcdrl_mmseg.models.feature_levels import Features


@contextmanager
def quick_segformer_fusion() -> Iterator[None]:
    """Let SegformerHeads train as :class:`FoldedSegformerHead` does in the block.

    So that an MCDRL model and its baseline, which has the stock head, differ in what
    they learn and not in how quickly. Without a gradient it stays mmseg's, so that a
    validation during the training is that of a later test to the last bit.
    """
    stock = SegformerHead.forward

    def forward(self: SegformerHead, inputs: Features) -> Tensor:
        if not torch.is_grad_enabled() or torch.compiler.is_compiling():
            return stock(self, inputs)
        return fuse_then_resize(self, inputs)

    SegformerHead.forward = forward
    try:
        yield
    finally:
        SegformerHead.forward = stock
