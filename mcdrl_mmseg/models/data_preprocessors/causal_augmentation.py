"""CausalAugmentation: GIN-IPA, a competitor that intervenes on the images."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class CausalAugmentation(BaseModule):
    """Random intensity changes of training images, mixed by a random map.

    Every image is changed twice by random shallow networks (GIN), to T_1 and T_2, and
    becomes T_1 * b + T_2 * (1 - b) with a smooth random map b (IPA). This breaks the
    correlation between appearance and position. After Ouyang et al.,
    "Causality-inspired single-source domain generalization for medical image
    segmentation", IEEE TMI 2023 (arXiv:2111.12525), without their consistency loss
    between the two complementary mixtures, which would double the cost of a step.

    Random numbers come from torch's generator of the images' device.

    Args:
        num_layers: Layers of the networks (paper: 4).
        hidden_channels: Channels between the layers (paper: 2).
        spacing: Pixels between the control points of the map.
        init_cfg: MMEngine's initialisation config; there is nothing to initialise.

    Raises:
        ValueError: A number below 1.

    Examples:
        >>> data_preprocessor = dict(
        ...     type='AugmentingDataPreProcessor',
        ...     augmentation=dict(type='CausalAugmentation', spacing=32),
        ...     size=(224, 224))
    """

    def __init__(
        self,
        num_layers: int = 4,
        hidden_channels: int = 2,
        spacing: int = 32,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if min(num_layers, hidden_channels, spacing) < 1:
            raise ValueError(
                f'CausalAugmentation: num_layers={num_layers}, '
                f'hidden_channels={hidden_channels} and spacing={spacing} must be at '
                'least 1.'
            )
        self.num_layers = num_layers
        self.hidden_channels = hidden_channels
        self.spacing = spacing

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Augment.

        Args:
            images: (B, c, H, W), normalised.

        Returns:
            (B, c, H, W) in the same precision.
        """
        from .blending_maps import draw_blending_maps

        # Sums over all pixels, and random weights, leave the range of half precision.
        with torch.autocast(images.device.type, enabled=False):
            changed = self.change_intensities(images.float().repeat(2, 1, 1, 1))
            first, second = changed.chunk(2)
            blending = draw_blending_maps(
                len(images), tuple(images.shape[2:]), self.spacing, images
            )
            return torch.lerp(second, first, blending).to(images.dtype)

    def change_intensities(self, images: Tensor) -> Tensor:
        """GIN: a random non-linear change of every image.

        Args:
            images: (B, c, H, W) float32.

        Returns:
            (B, c, H, W).
        """
        from .random_networks import draw_networks, mix_and_rescale, run_networks

        count, channels = images.shape[:2]
        layers = draw_networks(
            count, channels, self.num_layers, self.hidden_channels, images
        )
        alpha = torch.rand(count, 1, 1, 1, device=images.device)
        return mix_and_rescale(images, run_networks(images, layers), alpha)
