"""Random shallow networks: the non-linear intensity changes of GIN.

Ouyang et al., "Causality-inspired single-source domain generalization for medical
image segmentation", IEEE TMI 2023, section III-B.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

_NEGATIVE_SLOPE = 0.01
_MIN_NORM = 1e-8


class Layer(NamedTuple):
    """One convolution of B networks.

    Attributes:
        weight: (B, out channels, in channels, 3, 3).
        shift: (B, out channels), added after it.
    """

    weight: Tensor
    shift: Tensor


def draw_networks(
    count: int, channels: int, num_layers: int, hidden_channels: int, like: Tensor
) -> list[Layer]:
    """Draw the weights of networks.

    Weights and shifts are standard normal. The kernel of every layer of every network
    is 1 x 1 or 3 x 3, with equal chance.

    Args:
        count: B, number of networks.
        channels: Channels in and out.
        num_layers: Number of layers.
        hidden_channels: Channels between the layers.
        like: Tensor whose device the weights are on.

    Returns:
        The layers, float32.
    """
    widths = [channels, *[hidden_channels] * (num_layers - 1), channels]
    centre = torch.zeros(3, 3, device=like.device)
    centre[1, 1] = 1
    layers = []
    for width_in, width_out in pairwise(widths):
        weight = torch.randn(count, width_out, width_in, 3, 3, device=like.device)
        wide = torch.rand(count, 1, 1, 1, 1, device=like.device) < 0.5
        weight = torch.where(wide, weight, weight * centre)
        shift = torch.randn(count, width_out, device=like.device)
        layers.append(Layer(weight, shift))
    return layers


def run_networks(images: Tensor, layers: Sequence[Layer]) -> Tensor:
    """Run each network on its image: convolutions with leaky ReLU in between.

    Args:
        images: (B, c, H, W).
        layers: Weights of B networks.

    Returns:
        (B, c, H, W).
    """
    batch = len(images)
    # One grouped convolution with a group for each image: no loop over the batch.
    x = images.reshape(1, -1, *images.shape[2:])
    for number, layer in enumerate(layers):
        if number:
            x = F.leaky_relu(x, _NEGATIVE_SLOPE)
        weight = layer.weight.to(x.dtype).flatten(0, 1)
        shift = layer.shift.to(x.dtype).flatten()
        x = F.conv2d(x, weight, shift, padding=1, groups=batch)
    return x.view(batch, -1, *images.shape[2:])


def mix_and_rescale(images: Tensor, changed: Tensor, alpha: Tensor) -> Tensor:
    """Mix each image with its changed version, and keep its Frobenius norm.

    g = mixed * ||x||_F / ||mixed||_F, with mixed = alpha * changed + (1 - alpha) * x.

    Args:
        images: x, (B, c, H, W).
        changed: Output of the networks, (B, c, H, W).
        alpha: Share of the changed image, (B, 1, 1, 1).

    Returns:
        (B, c, H, W), each image with the Frobenius norm of its original.
    """
    mixed = torch.lerp(images, changed, alpha)
    before, after = (
        torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True)
        for x in (images, mixed)
    )
    return mixed * (before / after.clamp(min=_MIN_NORM))
