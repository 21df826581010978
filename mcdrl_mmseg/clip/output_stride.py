"""Finer dense maps of convolutional towers: dilation replaces stride."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

OUTPUT_STRIDES = (32, 16, 8)


class DensePool(nn.Module):
    """A dilated 2 x 2 average pool with stride 1.

    At every ``dilation``-th position it equals the pool that it replaces. The border is
    repeated.

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
    """Make the dense map of a convolutional tower finer, as dilated ResNets do.

    After a stride that is removed, convolutions are dilated, so that receptive fields
    stay the same (Chen et al., DeepLab). No weight changes.

    Args:
        tower: open_clip's ``ModifiedResNet``, or its wrapper of timm's EfficientNet.
        output_stride: 32 leaves the tower as it is, 16 gives twice as many rows and
            columns, 8 four times.

    Raises:
        ValueError: Another stride, or a tower whose stride is fixed.
    """
    if output_stride not in OUTPUT_STRIDES:
        raise ValueError(f'output_stride={output_stride} must be one of 32, 16 or 8.')
    trunk = getattr(tower, 'trunk', tower)
    kind = type(trunk).__name__
    if kind == 'ModifiedResNet':
        _dilate_resnet(trunk, output_stride)
    elif kind == 'EfficientNet':
        _dilate_efficientnet(trunk, output_stride)
    else:
        raise ValueError(
            f'output_stride={output_stride}: the stride of {kind} is fixed, for a ViT '
            'by its patch size. Set output_stride=None.'
        )


def _dilate_resnet(tower: nn.Module, output_stride: int) -> None:
    dilation = 1
    for stage, stride in ((tower.layer3, 16), (tower.layer4, 32)):
        for number, block in enumerate(stage):
            block.conv2.dilation = block.conv2.padding = (dilation, dilation)
            if number == 0 and stride > output_stride:
                block.avgpool = DensePool(dilation)
                block.downsample[0] = DensePool(dilation)
                dilation *= 2


def _dilate_efficientnet(trunk: nn.Module, output_stride: int) -> None:
    reached, dilation = 2, 1  # stride and dilation after the stem
    for module in trunk.blocks.modules():
        if not isinstance(module, nn.Conv2d) or module.kernel_size == (1, 1):
            continue
        inside, stride = dilation, module.stride[0]
        if reached * stride > output_stride:
            module.stride = (1, 1)
            dilation *= stride
        else:
            reached *= stride
        module.dilation = (inside, inside)
        # timm's "same" convolutions compute their padding from stride and dilation.
        if type(module) is nn.Conv2d:
            module.padding = tuple(
                inside * (side - 1) // 2 for side in module.kernel_size
            )
