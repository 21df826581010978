"""Finer dense maps from a ResNet tower: strides turned into dilation, weights kept."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

OUTPUT_STRIDES = (32, 16, 8)


class DensePool(nn.Module):
    """A 2 x 2 average pool that gives a value at every position.

    Every ``dilation``-th value is that of the strided pool on every ``dilation``-th
    input; the border is repeated.

    Args:
        dilation: Distance of the values that are averaged.
    """

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, c, h, w) -> (B, c, h, w)."""
        step = self.dilation
        padded = F.pad(inputs, (0, step, 0, step), mode='replicate')
        rows = padded[..., :-step, :] + padded[..., step:, :]
        return (rows[..., :-step] + rows[..., step:]) / 4


def set_output_stride(tower: nn.Module, output_stride: int) -> None:
    """Make the dense map of a ResNet tower finer, as dilated ResNets do it.

    From the stage whose stride is removed on, convolutions are dilated, so that every
    position sees what it saw before (Chen et al., DeepLab). No weight changes.

    Args:
        tower: open_clip ``ModifiedResNet``.
        output_stride: 32 leaves the tower as it is, 16 gives twice as many rows and
            columns, 8 four times.

    Raises:
        ValueError: Another stride.
    """
    if output_stride not in OUTPUT_STRIDES:
        raise ValueError(f'output_stride={output_stride} must be one of 32, 16 or 8.')
    dilation = 1
    for stage, stride in ((tower.layer3, 16), (tower.layer4, 32)):
        for number, block in enumerate(stage):
            _dilate(block.conv2, dilation)
            if number == 0 and stride > output_stride:
                block.avgpool = DensePool(dilation)
                block.downsample[0] = DensePool(dilation)
                dilation *= 2


def _dilate(conv: nn.Conv2d, dilation: int) -> None:
    conv.dilation = conv.padding = (dilation, dilation)
