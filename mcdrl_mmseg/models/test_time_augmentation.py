"""One prediction from several views of an image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from mmengine.model import BaseTTAModel
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample


@MODELS.register_module()
class SegProbabilityTTAModel(BaseTTAModel):
    """The mean of the probabilities over all views of an image, as its flips.

    For several channels MMSegmentation's ``SegTTAModel`` gives the same label map. For
    one channel it applies a sigmoid twice, so that every pixel lies above the usual
    thresholds and becomes lesion; and it leaves the scores of the last view in the
    sample. Here ``seg_logits`` are those of the mean, as metrics over thresholds need.

    Args:
        module: The segmentor, or its config.
        data_preprocessor: As in MMEngine's ``BaseTTAModel``; None takes the module's.

    Examples:
        >>> tta_model = dict(type='SegProbabilityTTAModel')
        >>> tta_pipeline = [
        ...     dict(type='LoadImageFromFile'),
        ...     dict(
        ...         type='TestTimeAug',
        ...         transforms=[
        ...             [dict(type='Resize', scale=(224, 224))],
        ...             [
        ...                 dict(type='RandomFlip', prob=0.0),
        ...                 dict(type='RandomFlip', prob=1.0, direction='horizontal'),
        ...             ],
        ...             [dict(type='LoadLesionMask')],
        ...             [dict(type='PackSegInputs')],
        ...         ])]
    """

    def merge_preds(
        self, data_samples_list: Sequence[Sequence[SegDataSample]]
    ) -> list[SegDataSample]:
        """Merge the views of each image.

        Args:
            data_samples_list: For each image its views, flipped back, with
                ``seg_logits`` (C, H, W): logits, or a probability for one channel.

        Returns:
            For each image its first view, with ``seg_logits`` and ``pred_sem_seg`` of
            the mean.
        """
        return [self._merged(views) for views in data_samples_list]

    def _merged(self, views: Sequence[SegDataSample]) -> SegDataSample:
        scores = torch.stack([view.seg_logits.data for view in views])
        if scores.shape[1] > 1:
            # Log-probabilities are logits: their softmax gives the probabilities back.
            logits = scores.log_softmax(dim=1).logsumexp(dim=0)
            logits -= math.log(len(views))
            labels = logits.argmax(dim=0, keepdim=True)
        else:
            logits = scores.mean(dim=0)
            labels = (logits > self.module.decode_head.threshold).long()
        merged = views[0]
        merged.set_data(
            dict(seg_logits=PixelData(data=logits), pred_sem_seg=PixelData(data=labels))
        )
        return merged
