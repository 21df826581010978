"""Reads the arrays of a prediction from the sample that mmseg passes to a metric."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

ONE_SITE = 'all'
"""Site of images that carry no ``site`` in their metainfo."""


@dataclass(frozen=True)
class EvaluatedImage:
    """One image with its prediction, as input of the metrics.

    Attributes:
        labels: Predicted classes, long (H, W).
        target: True classes, long (H, W).
        probability: Foreground probability, float (H, W), or None if the sample has
            none that belongs to ``labels``.
        num_classes: Number of classes, the background included.
        img_path: Path of the image file, or None.
        seg_map_path: Path of the mask file, or None.
        site: Name of the site, ``'all'`` when the dataset has none.
        sequence: Name of the video or patient, or None.
        lesion_classes: Lesion types that the dataset names for the image, or None
            when it names none.
        notes: What the user should know about this prediction, as
            (short key, sentence); each key should be logged once.
    """

    labels: Tensor
    target: Tensor
    probability: Tensor | None
    num_classes: int
    img_path: str | None
    seg_map_path: str | None
    site: str
    sequence: str | None
    lesion_classes: tuple[str, ...] | None
    notes: tuple[tuple[str, str], ...]


class _Prediction(NamedTuple):
    labels: Tensor
    probability: Tensor | None
    num_classes: int
    notes: list[tuple[str, str]]


def read_sample(
    sample: Mapping[str, Any] | BaseDataElement,
    num_classes: int = 2,
    with_probability: bool = True,
) -> EvaluatedImage:
    """Read prediction, ground truth and metainfo of one sample.

    The predicted classes are

    - of a model with several output channels: its label map ``pred_sem_seg``, or
      the argmax of ``seg_logits`` where it is missing. With two classes that is
      the threshold 0.5 on the foreground probability; a tie is background;
    - of a model with one output channel: probability > 0.5, whatever threshold
      the head used for its own label map; a tie is background.

    The foreground probability is 1 - softmax(seg_logits)[0], or the one channel
    itself, which mmseg has already passed through a sigmoid.

    Test-time augmentation in mmseg merges only the label map: ``seg_logits`` is then
    that of the last augmentation. Logits that do not fit the label map are therefore
    ignored, and a note says so.

    Args:
        sample: A ``SegDataSample``, or its ``to_dict()`` as the evaluator makes it.
        num_classes: Number of classes; only used for a label map without logits.
        with_probability: Whether to compute the probability.

    Returns:
        The image.

    Raises:
        ValueError: If ground truth or prediction is missing.
    """
    if isinstance(sample, BaseDataElement):
        sample = sample.to_dict()
    name = sample.get('img_path') or 'an image without img_path'
    if 'gt_sem_seg' not in sample:
        raise ValueError(
            f'{name}: the sample has no gt_sem_seg; add LoadAnnotations to the '
            'pipeline, or evaluate a dataset that has masks'
        )
    target = _two_dimensional(sample['gt_sem_seg']['data']).long()
    prediction = _prediction(sample, num_classes, name, with_probability)
    probability, lesion_classes = prediction.probability, sample.get('lesion_classes')
    return EvaluatedImage(
        labels=prediction.labels.to(target.device),
        target=target,
        probability=None if probability is None else probability.to(target.device),
        num_classes=prediction.num_classes,
        img_path=sample.get('img_path'),
        seg_map_path=sample.get('seg_map_path'),
        site=sample.get('site') or ONE_SITE,
        sequence=sample.get('sequence'),
        lesion_classes=None if lesion_classes is None else tuple(lesion_classes),
        notes=tuple(prediction.notes),
    )


def _prediction(
    sample: Mapping[str, Any], num_classes: int, name: str, with_probability: bool
) -> _Prediction:
    predicted = None
    if 'pred_sem_seg' in sample:
        predicted = _two_dimensional(sample['pred_sem_seg']['data']).long()
    if 'seg_logits' in sample:
        logits = sample['seg_logits']['data']
        return _from_logits(logits, predicted, num_classes, name, with_probability)
    if predicted is None:
        raise ValueError(f'{name}: the sample has neither seg_logits nor pred_sem_seg')
    return _from_label_map(predicted, num_classes, name, with_probability)


def _from_label_map(
    predicted: Tensor, num_classes: int, name: str, with_probability: bool
) -> _Prediction:
    """The prediction from a label map without logits."""
    notes = []
    if with_probability:
        notes.append(
            (
                'no_logits',
                f'{name}: no seg_logits, so no mean over thresholds and no calibration',
            )
        )
    return _Prediction(predicted, None, num_classes, notes)


def _from_logits(
    logits: Tensor,
    predicted: Tensor | None,
    num_classes: int,
    name: str,
    with_probability: bool,
) -> _Prediction:
    """The prediction from (C, H, W) logits, or from one channel's probability."""
    notes = []
    logits = logits.detach()
    if logits.dtype != torch.float64:
        logits = logits.float()
    if bool(logits.amax(dim=0).isnan().any()):
        notes.append(('nan', f'{name}: the prediction holds NaN'))
    probability: Tensor | None
    if logits.shape[0] == 1:
        labels, probability, agree = _read_one_channel(logits[0], predicted)
        if predicted is not None and agree and not torch.equal(labels, predicted):
            notes.append(
                (
                    'threshold',
                    f'{name}: inference writes the label map, which follows the '
                    "threshold of the head (mmseg's default is 0.3), but the scores "
                    'are those of p > 0.5. To score what is written, set '
                    'threshold=0.5 in the config of the head that segments',
                )
            )
    else:
        num_classes = len(logits)
        labels, probability, agree = _read_channels(logits, predicted, with_probability)
    if not agree:
        probability = None
        notes.append(
            (
                'merged',
                f'{name}: pred_sem_seg does not match seg_logits (as after test-time '
                'augmentation). The label map is scored as it is, without mean over '
                'thresholds and calibration',
            )
        )
    return _Prediction(labels, probability, max(num_classes, 2), notes)


def _read_channels(
    logits: Tensor, predicted: Tensor | None, with_probability: bool
) -> tuple[Tensor, Tensor | None, bool]:
    """Labels, probability and whether both agree, from (C, H, W) logits with C > 1."""
    if predicted is not None and not with_probability:
        return predicted, None, True
    lesion = logits[1] if len(logits) == 2 else logits[1:].logsumexp(dim=0)
    margin = lesion - logits[0]
    probability = margin.sigmoid().nan_to_num_(nan=0.0)
    if predicted is None:
        return logits.argmax(dim=0), probability, True
    # Not argmax, which takes longer than all other steps together.
    chosen = logits.gather(0, predicted.clamp(0, len(logits) - 1)[None])[0]
    peak = logits.amax(dim=0)
    agree = (chosen == peak) | peak.isnan()
    return predicted, probability, bool(agree.all())


def _read_one_channel(
    probability: Tensor, predicted: Tensor | None
) -> tuple[Tensor, Tensor, bool]:
    """Like :func:`_read_channels`, for the probability (H, W) of a single channel."""
    if bool((probability < 0).any()) or bool((probability > 1).any()):
        raise ValueError(
            'a one-channel prediction must be a probability in [0, 1] (mmseg applies '
            'the sigmoid in postprocess_result), got values from '
            f'{float(probability.min()):.3g} to {float(probability.max()):.3g}'
        )
    probability = probability.nan_to_num(nan=0.0)
    labels = (probability > 0.5).long()
    if predicted is None:
        return labels, probability, True
    # The head's threshold is not known here, but some threshold must separate them.
    inside, outside = probability[predicted == 1], probability[predicted != 1]
    if inside.numel() and outside.numel() and inside.min() < outside.max():
        return predicted, probability, False
    return labels, probability, True


def _two_dimensional(data: Tensor) -> Tensor:
    """A label map as (H, W), with or without the leading channel of one."""
    return data[0] if data.ndim == 3 else data
