"""Temperatures of a checkpoint, which calibrate its lesion probability.

``python -m mcdrl_lab calibrate`` fits them on validation images and writes them into
the checkpoint's ``meta``. Each lesion class has one temperature, which divides its
log-odds against the background (Guo et al., ICML 2017, with one temperature per class).
This changes no sign of the log-odds, so no pixel moves between lesion and background:
the masks stay the same.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mcdrl_common.printable import short_repr
from mcdrl_mmseg.safe_loading import CheckpointError

from .image_pipeline import check_scores, lesion_probability

META_KEY = 'mcdrl_temperature'
"""Key of a checkpoint's ``meta`` for the temperatures, a list of numbers."""


def temperature_of(
    checkpoint: Mapping, channels: int, source: str | os.PathLike
) -> tuple[float, ...] | None:
    """The temperatures in a checkpoint.

    Args:
        checkpoint: Its content.
        channels: Number of the model's output channels.
        source: Its path, for messages.

    Returns:
        One number per lesion class, or None if the checkpoint is not calibrated.

    Raises:
        CheckpointError: They are not positive numbers, or not one per lesion class.
    """
    values = (checkpoint.get('meta') or {}).get(META_KEY)
    if values is None:
        return None
    expected = max(channels - 1, 1)
    if not (
        isinstance(values, list | tuple)
        and len(values) == expected
        and all(type(v) in (int, float) and 0 < v <= sys.float_info.max for v in values)
    ):
        raise CheckpointError(
            f"{source}: meta['{META_KEY}'] is {short_repr(values)}; expected a list of "
            f'{expected} positive numbers, one per lesion class. Calibrate the '
            'checkpoint again: python -m mcdrl_lab calibrate CHECKPOINT'
        )
    return tuple(map(float, values))


def divide_logits(logits: Tensor, temperature: Sequence[float] | Tensor) -> Tensor:
    """Calibrate logits.

    Args:
        logits: (..., C, H, W); with one channel the lesion's log-odds.
        temperature: One number per lesion class.

    Returns:
        Same shape; the log-odds of each class against class 0 are divided by its
        temperature.
    """
    divisor = torch.as_tensor(temperature, dtype=logits.dtype, device=logits.device)
    divisor = divisor.reshape(-1, 1, 1)
    if logits.shape[-3] == 1:
        return logits / divisor
    background, lesions = logits[..., :1, :, :], logits[..., 1:, :, :]
    divided = background + (lesions - background) / divisor
    return torch.cat([background, divided], dim=-3)


def calibrated_probability(scores: Tensor, temperature: Sequence[float]) -> Tensor:
    """Calibrated probability that a pixel is of any class but the background.

    Args:
        scores: (C, H, W), ``seg_logits`` of a prediction; see
            :func:`~mcdrl_mmseg.apis.image_pipeline.lesion_probability`.
        temperature: One number per lesion class.

    Returns:
        (H, W) float in [0, 1].

    Raises:
        ScoresError: A score is NaN or infinite.
    """
    if len(scores) > 1:
        return lesion_probability(divide_logits(scores.float(), temperature))
    check_scores(scores)
    # mmseg has already applied the sigmoid; 0 and 1 do not change.
    return divide_logits(scores.double().logit(), temperature)[0].sigmoid().float()
