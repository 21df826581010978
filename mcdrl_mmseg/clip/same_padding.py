"""TensorFlow's "same" padding in a strided convolution, without a padded copy."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SamePaddingConv2d(nn.Conv2d):
    """A convolution of stride 2 whose kernel begins with a row and a column of zeros.

    For images of even size, "same" padding adds one pixel more at the right and bottom
    than at the left and top. torch's convolution cannot do this, so timm pads a copy of
    the image. The extra zeros in the kernel make the padding symmetric. On a CPU a
    depthwise convolution takes 50 to 90 % of the time of copy and convolution; other
    convolutions would be slower.

    Args:
        conv: A convolution for which :func:`pads_a_copy` holds; not changed.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        size = [side + 1 for side in conv.kernel_size]
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            (size[0], size[1]),
            stride=2,
            groups=conv.groups,
            bias=conv.bias is not None,
            device='meta',
        )
        layout = _layout(conv.weight)
        weight = F.pad(conv.weight.detach(), (1, 0, 1, 0)).contiguous(
            memory_format=layout
        )
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = conv.bias
        self.train(conv.training)

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', ceil(H / 2), ceil(W / 2))."""
        padding = [
            side // 2 - 1 + length % 2
            for side, length in zip(self.kernel_size, inputs.shape[2:])
        ]
        return F.conv2d(
            inputs, self.weight, self.bias, self.stride, padding, 1, self.groups
        )


def pads_a_copy(conv: nn.Module) -> bool:
    """Whether :class:`SamePaddingConv2d` is a faster equivalent of a module.

    Args:
        conv: Any module; only timm's ``Conv2dSame`` qualifies.
    """
    return (
        type(conv).__name__ == 'Conv2dSame'
        and isinstance(conv, nn.Conv2d)
        and conv.stride == (2, 2)
        and conv.dilation == (1, 1)
        and all(side % 2 and side > 1 for side in conv.kernel_size)
        and conv.groups == conv.in_channels
        and conv.weight.device.type == 'cpu'
    )


def _layout(weight: Tensor) -> torch.memory_format:
    # Depthwise weights count as contiguous in both formats; only their strides differ.
    if weight.stride(1) == 1:
        return torch.channels_last
    return torch.contiguous_format
