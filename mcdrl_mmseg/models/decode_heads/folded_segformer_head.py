"""SegformerHead that fuses its levels before it resizes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads import SegformerHead
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from mcdrl_mmseg.models.feature_levels import Features
from mcdrl_mmseg.models.tensor_cache import CachingModule, ModuleCache


@MODELS.register_module()
class FoldedSegformerHead(CachingModule, SegformerHead):
    """MMSegmentation's SegformerHead with less than half of its work.

    A 1 x 1 convolution of concatenated maps is the sum of 1 x 1 convolutions of each
    map, and commutes with resizing. Here every level is therefore fused at its own
    size, and resized afterwards. In inference batch norms are folded into the weights.
    Results and gradients equal the stock head's up to rounding.

    The stock forward pass runs in compiled models, in training if the fusing
    convolution has hooks, and in inference if any part has hooks (as pruning adds them)
    or a norm is in training mode. Checkpoints of both heads are exchangeable.

    Args:
        **kwargs: See MMSegmentation's ``SegformerHead``; ``norm_cfg`` is a batch norm.

    Raises:
        ValueError: A norm without running statistics, or none.

    Examples:
        >>> decode_head = dict(
        ...     type='FoldedSegformerHead',
        ...     in_channels=[24, 40, 112, 256],
        ...     in_index=[0, 1, 2, 3],
        ...     channels=64,
        ...     num_classes=2,
        ...     norm_cfg=dict(type='BN'))
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if any(_running_mean(block) is None for block in self._blocks):
            raise ValueError(
                f'FoldedSegformerHead: norm_cfg={self.norm_cfg} must be a norm with '
                "running statistics, such as dict(type='BN'). For other norms use "
                'SegformerHead.'
            )
        # Not a buffer and not saved: computed from the weights.
        self._cache = ModuleCache()

    @property
    def _blocks(self) -> tuple[ConvModule, ...]:
        return (*self.convs, self.fusion_conv)

    def forward(self, inputs: Features) -> Tensor:
        """Logits, (B, C, h, w), of the size of the first level.

        Args:
            inputs: Maps, from which ``in_index`` selects.
        """
        if torch.compiler.is_compiling():
            return super().forward(inputs)
        if self.training or torch.is_grad_enabled():
            if has_hooks_on_fusion(self):
                return super().forward(inputs)
            return fuse_then_resize(self, inputs)
        if not self._cache.may_replace(*self._blocks):
            return super().forward(inputs)
        weights = self._cache.get('folded', self._fold, self._blocks)
        fused = _sum_of_resized(
            self,
            (
                F.conv2d(block.activate(F.conv2d(level, *own)), *fusion)
                for level, block, (own, fusion) in zip(
                    self._transform_inputs(inputs), self.convs, weights
                )
            ),
        )
        return _logits(self, fused)

    def _fold(self) -> list[tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor | None]]]:
        """For each level, weight and bias of its own and of its fusing convolution."""
        *own, (fusion, bias) = (_without_norm(block) for block in self._blocks)
        parts = [part.contiguous() for part in fusion.chunk(len(own), dim=1)]
        # The bias is added once, with the first level: resizing keeps constants.
        return list(zip(own, zip(parts, [bias] + [None] * len(own))))


def has_hooks_on_fusion(head: SegformerHead) -> bool:
    """Whether the fusing convolution has hooks, which :func:`fuse_then_resize` skips.

    Explanations register such hooks, and pruning computes the weight in one.

    Args:
        head: A SegformerHead.
    """
    block = head.fusion_conv
    return any(
        getattr(module, name) for module in (block, block.conv) for name in _HOOKS
    )


def fuse_then_resize(head: SegformerHead, inputs: Features) -> Tensor:
    """The head's ``forward`` up to rounding, with every level fused at its own size.

    For four levels, forward and backward pass take a third of the time.

    Args:
        head: A SegformerHead.
        inputs: Maps, from which ``in_index`` selects.

    Returns:
        (B, C, h, w), of the size of the first level.
    """
    maps = head._transform_inputs(inputs)
    block = head.fusion_conv
    parts = block.conv.weight.chunk(len(maps), dim=1)
    # The bias is added once, with the first level: resizing keeps constants.
    biases = [block.conv.bias] + [None] * len(maps)
    fused = _sum_of_resized(
        head,
        (
            F.conv2d(conv(level), part, bias)
            for level, conv, part, bias in zip(maps, head.convs, parts, biases)
        ),
    )
    if block.with_norm:
        fused = block.norm(fused)
    return _logits(head, fused)


def _logits(head: SegformerHead, fused: Tensor) -> Tensor:
    """Activation and classifier, which follow the fusing convolution and its norm."""
    # torch upsamples channels-last maps of two channels four times as slowly.
    return head.cls_seg(head.fusion_conv.activate(fused)).contiguous()


def _sum_of_resized(head: SegformerHead, levels: Iterable[Tensor]) -> Tensor:
    """The sum of maps at the size of the first one."""
    first, *others = levels
    size = first.shape[2:]
    for other in others:
        resized = resize(
            other,
            size=size,
            mode=head.interpolate_mode,
            align_corners=head.align_corners,
        )
        # In place: the backward pass of resizing does not need its result.
        first = resized.add_(first)
    return first


_HOOKS = (
    '_forward_pre_hooks',
    '_forward_hooks',
    '_backward_pre_hooks',
    '_backward_hooks',
)


def _running_mean(block: ConvModule) -> Tensor | None:
    return getattr(block.norm, 'running_mean', None)


def _without_norm(block: ConvModule) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution with its norm folded in."""
    conv, norm = block.conv, block.norm
    statistics = norm.running_mean, norm.running_var, norm.eps
    return fuse_conv_bn_weights(
        conv.weight, conv.bias, *statistics, norm.weight, norm.bias
    )
