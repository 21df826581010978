"""A convolutional tower for inference: no batch norms, fewer copies."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights

from .same_padding import SamePaddingConv2d, pads_a_copy

# Classes in which every batch norm directly follows a convolution.
_FAMILIES = ('EfficientNet', 'ModifiedResNet')


def can_fold(tower: nn.Module) -> bool:
    """Whether :func:`fold_norms` knows where a tower's batch norms belong.

    Args:
        tower: Image tower of open_clip, or its wrapper of a timm model.
    """
    return type(getattr(tower, 'trunk', tower)).__name__ in _FAMILIES


def fold_norms(tower: nn.Module) -> nn.Module:
    """A copy of the tower with batch norms folded into convolutions, for inference.

    Its results are equal up to rounding. timm's norms contain an activation, which is
    kept (``mmcv.cnn.fuse_conv_bn`` takes them for plain norms and drops it). Modules
    that are not folded are shared with the tower. Strided convolutions become
    :class:`SamePaddingConv2d` where that is faster.

    Args:
        tower: A tower for which :func:`can_fold` holds, in evaluation mode; not
            changed.

    Returns:
        The copy, without gradients and in the tower's memory layout.
    """
    tensors = (*tower.parameters(), *tower.buffers())
    folded = copy.deepcopy(tower, {id(tensor): tensor for tensor in tensors})
    for parent, conv, name in _pairs(folded):
        norm = parent.get_submodule(name)
        fused, bias = fuse_conv_bn_weights(
            conv.weight,
            conv.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )
        weight = torch.empty_like(conv.weight).copy_(fused)
        conv.weight = nn.Parameter(weight, requires_grad=False)
        conv.bias = nn.Parameter(bias.detach(), requires_grad=False)
        setattr(parent, name, getattr(norm, 'act', nn.Identity()))
    for parent in list(folded.modules()):
        for name, child in parent.named_children():
            if pads_a_copy(child):
                setattr(parent, name, SamePaddingConv2d(child))
    return folded


def _pairs(tower: nn.Module) -> list[tuple[nn.Module, nn.Conv2d, str]]:
    """Parent, convolution and name of the norm that follows it."""
    pairs: list[tuple[nn.Module, nn.Conv2d, str]] = []
    for parent in tower.modules():
        before = None
        for name, child in parent.named_children():
            is_norm = isinstance(child, _BatchNorm) and child.running_mean is not None
            if is_norm and isinstance(before, nn.Conv2d):
                pairs.append((parent, before, name))
            before = child
    return pairs
