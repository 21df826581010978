"""CausalInterventionHead as the last head of a cascade."""

from __future__ import annotations

from mmseg.registry import MODELS
from mmseg.utils import ConfigType, SampleList
from torch import Tensor

from mcdrl_mmseg.models.feature_levels import Features

from .causal_intervention_head import CausalInterventionHead


@MODELS.register_module()
class CausalInterventionCascadeHead(CausalInterventionHead):
    """MCDRL in front of the last head of a ``CascadeEncoderDecoder``, as OCRNet's.

    This head gets what the head before it gives, beside the features. The heads before
    it are stock ones and read the maps without intervention. Its methods take what
    those of MMSegmentation's ``BaseCascadeDecodeHead`` take.

    Args:
        **kwargs: See :class:`CausalInterventionHead`; ``predictor`` is the last head of
            a cascade, as ``OCRHead`` or ``PointHead``.

    Examples:
        >>> model = dict(
        ...     type='CascadeEncoderDecoder',
        ...     num_stages=2,
        ...     decode_head=[
        ...         dict(type='FCNHead', in_channels=64, channels=64, num_classes=2),
        ...         dict(
        ...             type='CausalInterventionCascadeHead',
        ...             in_channels=64,
        ...             in_index=-3,
        ...             dictionary=dict(
        ...                 type='ConfounderDictionary',
        ...                 prompts=dict(classes=['polyp']),
        ...                 embed_dims=512),
        ...             predictor=dict(
        ...                 type='OCRHead',
        ...                 in_channels=64,
        ...                 channels=64,
        ...                 ocr_channels=32,
        ...                 num_classes=2))])
    """

    def forward(  # type: ignore[override]
        self, inputs: Features, prev_output: Tensor
    ) -> Tensor:
        """Plain logits of the predictor, (B, C, h, w).

        Args:
            inputs: The backbone's tuple.
            prev_output: Logits of the head before.
        """
        return self.predictor(self.intervene(inputs).features, prev_output)

    def predict(  # type: ignore[override]
        self,
        inputs: Features,
        prev_output: Tensor,
        batch_img_metas: list[dict],
        test_cfg: ConfigType,
    ) -> Tensor:
        """Logits resized to the images.

        Args:
            inputs: The backbone's tuple.
            prev_output: Logits of the head before.
            batch_img_metas: Meta information of each image.
            test_cfg: The segmentor's test config.

        Returns:
            (B, C, H, W).
        """
        features = self.intervene(inputs).features
        return self.predictor.predict(features, prev_output, batch_img_metas, test_cfg)

    def loss(  # type: ignore[override]
        self,
        inputs: Features,
        prev_output: Tensor,
        batch_data_samples: SampleList,
        train_cfg: ConfigType,
    ) -> dict[str, Tensor]:
        """The losses of :class:`CausalInterventionHead`.

        Args:
            inputs: The backbone's tuple.
            prev_output: Logits of the head before.
            batch_data_samples: Labels and meta information.
            train_cfg: The segmentor's training config.

        Returns:
            The predictor's losses, ``loss_causal`` and ``loss_contrast``.
        """
        state = self.intervene(inputs)
        losses = self.predictor.loss(
            state.features, prev_output, batch_data_samples, train_cfg
        )
        return self._with_own_losses(losses, state, inputs, batch_data_samples)
