"""Any backbone beside a frozen CLIP tower that guides the region selection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from mcdrl_mmseg.clip.norm_activations import keep_activations
from mcdrl_mmseg.models.feature_levels import BareMap

if TYPE_CHECKING:
    from mcdrl_mmseg.clip import CLIPSpec


@MODELS.register_module()
class CLIPGuidedBackbone(BaseModule):
    """Wrap a registered backbone, so that MCDRL works on its features.

    The wrapped backbone gets the same images as without the wrapper. For CLIP the
    wrapper undoes the data preprocessor's normalisation and applies CLIP's own.

    Args:
        backbone: Config of any registered backbone, as in a stock config.
        clip: Config of a :class:`CLIPVisionBackbone`, without ``type``. This tower is
            always frozen and returns no levels.
        mean: The data preprocessor's ``mean``, per channel, in pixel values 0..255.
        std: The data preprocessor's ``std``, likewise.
        bgr: Whether the images reach the backbone in BGR order, that is, whether
            the data preprocessor has ``bgr_to_rgb=False``.
        clip_mean: Mean that the CLIP tower was trained with, in pixel values 0..255;
            None takes the model's own (:mod:`mcdrl_mmseg.clip.normalisation`).
        clip_std: Likewise.
        clip_size: Side in pixels to which images are resized for CLIP; None keeps
            their size.
        frozen: Whether to freeze the wrapped backbone: it stays in evaluation mode and
            gets no gradients. For a backbone that is already trained.
        pretrained: Passed on to the wrapped backbone. ``EncoderDecoder`` sets it when
            the config has ``model.pretrained``.
        neck: Config of the neck behind the backbone, as in a stock config. The levels
            are then the neck's. ``frozen`` does not freeze the neck.
        init_cfg: MMEngine's initialisation config; rarely needed.

    Raises:
        ValueError: ``clip`` asks for levels or a trained tower, or its weights were
            trained with another normalisation than their architecture says.

    Examples:
        >>> model = dict(
        ...     backbone=dict(
        ...         type='CLIPGuidedBackbone',
        ...         backbone=dict(type='MixVisionTransformer', embed_dims=32),
        ...         clip=dict(model_name='ViT-B-16', pretrained='openai'),
        ...         clip_size=224))
    """

    def __init__(
        self,
        backbone: dict,
        clip: dict,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        bgr: bool = False,
        clip_size: int | None = None,
        clip_mean: Sequence[float] | None = None,
        clip_std: Sequence[float] | None = None,
        frozen: bool = False,
        pretrained: str | None = None,
        neck: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        from mcdrl_mmseg.clip.normalisation import (
            guide_normalisation,
            openai_normalisation,
        )

        super().__init__(init_cfg)
        if clip.get('out_indices') or not clip.get('frozen', True):
            raise ValueError(
                'CLIPGuidedBackbone: the CLIP tower only guides the selection, so '
                'clip.out_indices must not be set and clip.frozen must not be False.'
            )
        # The wrapped backbone, and the frozen CLIP tower beside it.
        if pretrained is not None:
            backbone = {**backbone, 'pretrained': pretrained}
        self.backbone = MODELS.build(backbone)
        self.neck = None if neck is None else MODELS.build(neck)
        self.frozen = frozen
        if frozen:
            self.backbone.requires_grad_(False)
        self.guide = MODELS.build(
            {'type': 'CLIPVisionBackbone', **clip, 'frozen': True}
        )
        self.mean, self.std, self.bgr = tuple(mean), tuple(std), bgr
        self.clip_size = clip_size
        # One affine map undoes one normalisation and applies the other.
        clip_mean, clip_std = guide_normalisation(self.clip_spec, clip_mean, clip_std)
        own_mean, own_std = torch.tensor(mean).float(), torch.tensor(std).float()
        if bgr:
            own_mean, own_std = own_mean.flip(0), own_std.flip(0)
        scale = own_std / clip_std
        shift = (own_mean - clip_mean) / clip_std
        # Older versions always used OpenAI's normalisation and saved no buffers. With
        # any other normalisation they are saved, so that an old checkpoint, which lacks
        # them, is refused.
        usual = torch.tensor(openai_normalisation().mean) * 255
        kept = not torch.equal(clip_mean, usual)
        self.register_buffer('_scale', scale.view(1, -1, 1, 1), persistent=kept)
        self.register_buffer('_shift', shift.view(1, -1, 1, 1), persistent=kept)

    @property
    def clip_spec(self) -> CLIPSpec:
        """Which CLIP the guide belongs to; its text tower embeds the prompts."""
        return self.guide.clip_spec

    def check_data_preprocessor(self, data_preprocessor: nn.Module) -> None:
        """Check that the wrapper undoes the normalisation of the data preprocessor.

        Args:
            data_preprocessor: The segmentor's.

        Raises:
            ValueError: They differ, so that CLIP would see images in wrong colours.
        """
        from mcdrl_mmseg.clip.normalisation import preprocessor_values

        found = preprocessor_values(data_preprocessor)
        own = dict(mean=list(self.mean), std=list(self.std), bgr=self.bgr)
        values = [*found['mean'], *found['std']]
        same = np.allclose(values, [*self.mean, *self.std], atol=1e-3)
        if not same or found['bgr'] != self.bgr:
            raise ValueError(
                f'CLIPGuidedBackbone undoes the normalisation {own}, but the data '
                f'preprocessor applies {found}. Set mean, std and bgr of the backbone '
                'to the values of model.data_preprocessor.'
            )

    def clip_images(self, inputs: Tensor) -> Tensor:
        """Images as CLIP expects them.

        Args:
            inputs: (B, 3, H, W), normalised by the data preprocessor.

        Returns:
            (B, 3, H, W), or (B, 3, clip_size, clip_size), RGB, CLIP's normalisation.
        """
        if self.bgr:
            inputs = inputs.flip(1)
        images = inputs * self._scale + self._shift
        if self.clip_size is not None:
            images = F.interpolate(
                images, size=(self.clip_size,) * 2, mode='bilinear', antialias=True
            )
        return images

    def train(self, mode: bool = True) -> CLIPGuidedBackbone:
        """Set the mode; a frozen backbone stays in evaluation mode."""
        super().train(mode)
        keep_activations(self.backbone)
        if self.frozen:
            self.backbone.eval()
        return self

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Run the wrapped backbone and the CLIP tower.

        Args:
            inputs: (B, 3, H, W), normalised by the data preprocessor.

        Returns:
            The levels of the wrapped backbone or its neck, then CLIP's dense map
            (B, d, h, w) and image embedding (B, d, 1, 1), both without gradient. If
            the backbone returns a bare tensor, not a tuple, a :class:`BareMap`.
        """
        levels = self.backbone(inputs)
        if self.neck is not None:
            levels = self.neck(levels)
        with torch.no_grad():
            dense_features, image_embedding = self.guide(self.clip_images(inputs))
        if isinstance(levels, Tensor):
            return BareMap(levels, dense_features, image_embedding)
        return (*levels, dense_features, image_embedding)
