import math
from types import SimpleNamespace

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import SegTTAModel
from mmseg.structures import SegDataSample
from torch import nn

from mcdrl_mmseg.models import SegProbabilityTTAModel


class Segmentor(nn.Module):
    """What a TTA model needs of the segmentor that it wraps."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_channels = channels
        self.decode_head = SimpleNamespace(threshold=0.5)
        self.data_preprocessor = nn.Identity()

    def test_step(self, data):
        raise AssertionError('only asked for')


def views(*scores: list) -> list[SegDataSample]:
    """Views of one image of 1 x 2 pixels; scores by channel."""
    samples = []
    for number, values in enumerate(scores):
        data = torch.tensor(values, dtype=torch.float32)[:, None]
        sample = SegDataSample(metainfo=dict(img_path='a.png', flip=bool(number)))
        sample.seg_logits = PixelData(data=data)
        samples.append(sample)
    return samples


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def test_probabilities_are_averaged_and_not_logits():
    """Lesion with 0.9 and 0.4: 0.65 on average. Of logits the mean would be 0.71."""
    model = SegProbabilityTTAModel(Segmentor(2))
    merged, other = model.merge_preds(
        [
            views(
                [[0, 0], [logit(0.9), logit(0.2)]], [[0, 0], [logit(0.4), logit(0.4)]]
            ),
            views([[0, 0], [1, -1]], [[0, 0], [1, -1]]),
        ]
    )
    probability = merged.seg_logits.data.softmax(0)[1, 0]
    assert probability.tolist() == pytest.approx([0.65, 0.3])
    assert merged.pred_sem_seg.data.tolist() == [[[1, 0]]]
    assert (merged.img_path, merged.flip) == ('a.png', False)
    assert other.seg_logits.data.softmax(0)[1, 0].tolist() == pytest.approx(
        [1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))]
    )


def test_scores_of_a_single_channel_are_averaged_as_probabilities():
    model = SegProbabilityTTAModel(Segmentor(1))
    (merged,) = model.merge_preds([views([[0.9, 0.2]], [[0.4, 0.4]])])
    assert merged.seg_logits.data.flatten().tolist() == pytest.approx([0.65, 0.3])
    assert merged.pred_sem_seg.data.tolist() == [[[1, 0]]]


def test_mmsegs_own_tta_model_labels_every_pixel_of_one_channel_as_lesion():
    """The reason for our own class, which can be dropped once this test fails."""
    (merged,) = SegTTAModel(Segmentor(1)).merge_preds([views([[0.01, 0.02]])])
    assert merged.pred_sem_seg.data.tolist() == [[[1, 1]]]
