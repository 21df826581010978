"""PromptTuningHead: classes from learned prompts, the nearest CLIP competitor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.utils import ConfigType
from torch import Tensor

from mcdrl_mmseg.models.region_selector import text_similarity


@MODELS.register_module()
class PromptTuningHead(BaseDecodeHead):
    """Cosine of CLIP's dense map with the text embeddings of learned prompts.

    Prompt tuning after CoOp (Zhou et al., "Learning to prompt for vision-language
    models", IJCV 2022), for every position instead of the image. With t_i the text
    embedding of "[V]_1 ... [V]_M [CLASS_i]", the probability of name i at a position
    is softmax_i(cos(C[h, w], t_i) / temperature), their equation 1. The probability of
    a segmentation class is the sum over its names. As the context V is learned, the
    text tower runs in every training step; in inference its result is cached.

    Args:
        class_names: For each segmentation class, background first, one name or
            several. ``num_classes`` defaults to the number of classes.
        text: Arguments of :class:`~mcdrl_mmseg.clip.CLIPSpec`, the same as the
            backbone's: ``model_name``, ``pretrained``, ``quick_gelu``.
        in_channels: d, width of the joint image-text space.
        in_index: CLIP's dense map in the backbone's tuple.
        context: Number of random context vectors, or words that initialise them.
        temperature: Divides the cosines; CLIP's own is 0.01.
        predictor: Config of a decode head that reads the backbone's tuple and whose
            logits are added, or None for the prompts alone. Its losses are not used.
        **kwargs: As for MMSegmentation's ``BaseDecodeHead``: ``loss_decode``,
            ``ignore_index``, ``align_corners``.

    Raises:
        ValueError: ``in_channels`` is not the text tower's width, the predictor has
            another number of classes, the temperature is not positive, or see
            :class:`~mcdrl_mmseg.clip.learned_prompts.LearnedPrompts`.

    Examples:
        >>> clip = dict(model_name='ViT-B-16', pretrained='openai')
        >>> model = dict(
        ...     backbone=dict(type='CLIPVisionBackbone', frozen=True, **clip),
        ...     decode_head=dict(
        ...         type='PromptTuningHead',
        ...         class_names=['normal mucosa', 'polyp'],
        ...         text=clip,
        ...         in_channels=512,
        ...         context=16))
    """

    def __init__(
        self,
        class_names: Sequence[str | Sequence[str]],
        text: ConfigType,
        in_channels: int,
        in_index: int = -2,
        context: int | str = 16,
        temperature: float = 0.01,
        predictor: ConfigType | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs = {
            'dropout_ratio': 0,
            'num_classes': len(class_names),
            'init_cfg': None,
            **kwargs,
        }
        super().__init__(in_channels, in_channels, in_index=in_index, **kwargs)
        # Prompts replace the classifier.
        del self.conv_seg
        names = [[n] if isinstance(n, str) else list(n) for n in class_names]
        if temperature <= 0 or len(names) != self.out_channels or not all(names):
            raise ValueError(
                f'PromptTuningHead: class_names={names} must name each of the '
                f'{self.out_channels} output channels, and '
                f'temperature={temperature} must be above 0.'
            )
        from mcdrl_mmseg.clip.learned_prompts import LearnedPrompts
        from mcdrl_mmseg.clip.towers import CLIPSpec

        self.names_per_class = [len(group) for group in names]
        self.temperature = temperature
        self.prompts = LearnedPrompts(
            CLIPSpec(**text), [name for group in names for name in group], context
        )
        width = self.prompts.tower.output_dim
        if width != in_channels:
            raise ValueError(
                f'PromptTuningHead: in_channels={in_channels}, but the joint space of '
                f'{self.prompts.spec.model_name} has {width} dimensions.'
            )
        self.predictor = None if predictor is None else MODELS.build(predictor)
        if (
            self.predictor is not None
            and self.predictor.out_channels != self.out_channels
        ):
            raise ValueError(
                f'PromptTuningHead: the predictor has '
                f'{self.predictor.out_channels} output channels, but class_names '
                f'names {self.out_channels} classes.'
            )

    def prompt_logits(self, dense_features: Tensor) -> Tensor:
        """Class logits from the prompts alone.

        Args:
            dense_features: C, (B, d, h, w).

        Returns:
            (B, C, h, w) float32.
        """
        cosine = text_similarity(dense_features, self.prompts())
        # A low temperature would amplify rounding errors of half precision.
        with torch.autocast(dense_features.device.type, enabled=False):
            parts = (cosine / self.temperature).split(self.names_per_class, dim=1)
            return torch.stack([part.logsumexp(dim=1) for part in parts], dim=1)

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Logits.

        Args:
            inputs: The backbone's tuple, with CLIP's dense map at ``in_index``.

        Returns:
            (B, C, h, w), on the predictor's grid where there is one.
        """
        logits = self.prompt_logits(inputs[self.in_index])
        if self.predictor is None:
            return logits
        own = self.predictor(inputs)
        return own + resize(
            logits,
            size=own.shape[2:],
            mode='bilinear',
            align_corners=self.align_corners,
        )
