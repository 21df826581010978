"""Losses that do not fit the channels of their decode head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import (
    CrossEntropyLoss,
    DiceLoss,
    FocalLoss,
    HuasdorffDisstanceLoss,
    LovaszLoss,
    OhemCrossEntropy,
    TverskyLoss,
)

from .config_components import Component
from .config_problem import ConfigProblem

# With one output channel DiceLoss compares the lesion's probability with the
# background, TverskyLoss is always 0, and the others raise an error.
_OF_SEVERAL_CHANNELS = (DiceLoss, FocalLoss, OhemCrossEntropy, TverskyLoss)


def loss_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Class weights that do not fit, a softmax over one channel, a two-channel loss."""
    for head in parts:
        channels = _channels(head)
        if channels is None:
            continue
        if channels == 1 and head.place.startswith('model.decode_head['):
            yield ConfigProblem(
                head.at('out_channels'),
                'is 1 in a cascade. mmseg would look up the threshold of one channel '
                'in the list of heads: the first prediction would fail with an '
                'AttributeError.',
                'Set out_channels=2 in all heads of the cascade.',
            )
        within = [
            part for part in parts if part.place.startswith(head.at('loss_decode'))
        ]
        for loss in within:
            yield from _class_weights(loss, head, channels)
            yield from _mean_of_weights(loss)
            if channels > 2 and loss.is_a(HuasdorffDisstanceLoss):
                yield ConfigProblem(
                    loss.at('type'),
                    f'treats class numbers as probabilities: with {channels} channels '
                    'a perfect map has a higher loss than a map of only background.',
                    'Remove it. For several classes use '
                    "dict(type='VectorizedTverskyLoss').",
                )
            if channels == 1:
                yield from _one_channel(loss)
        if channels == 1 and not head.cfg.get('loss_decode'):
            yield _no_sigmoid(
                head.at('loss_decode'), "is the default, dict(type='CrossEntropyLoss')"
            )


def _channels(head: Component) -> int | None:
    """Output channels of a decode head; None if the config does not say.

    None also for heads that compute losses in their own way, as SAN's: their class
    weights may have another meaning.
    """
    if not head.is_a(BaseDecodeHead):
        return None
    if head.cls.loss_by_feat is not BaseDecodeHead.loss_by_feat:
        return None
    channels = head.cfg.get('out_channels')
    if channels is None:
        channels = head.cfg.get('num_classes')
    return channels if isinstance(channels, int) and channels > 0 else None


def _class_weights(
    loss: Component, head: Component, channels: int
) -> Iterator[ConfigProblem]:
    for key in ('class_weight', 'alpha'):
        weights = loss.cfg.get(key)
        if isinstance(weights, (list, tuple)) and len(weights) != channels:
            yield ConfigProblem(
                loss.at(key),
                f'has {len(weights)} weights, but {head.place} has {channels} '
                f'channel{"s" if channels > 1 else ""}, including the background.',
                f'Give {channels} weights.',
            )


def _mean_of_weights(loss: Component) -> Iterator[ConfigProblem]:
    """``avg_non_ignore`` beside class weights: an error in mmseg's softmax loss."""
    options = loss.cfg
    if not loss.is_a(CrossEntropyLoss) or options.get('use_sigmoid'):
        return
    if options.get('class_weight') and options.get('avg_non_ignore'):
        yield ConfigProblem(
            loss.at('avg_non_ignore'),
            'fails with an IndexError at the first step if class_weight is set.',
            'Remove it: with class weights the loss is the mean over the pixels that '
            'have a label.',
        )


def _one_channel(loss: Component) -> Iterator[ConfigProblem]:
    if loss.cls is None:
        return
    if any(loss.is_a(kind) for kind in _OF_SEVERAL_CHANNELS):
        yield _no_sigmoid(loss.at('type'), 'takes several channels')
    elif loss.is_a(LovaszLoss):
        if loss.value('loss_type') != 'binary':
            yield ConfigProblem(
                loss.at('loss_type'),
                'compares channels with each other, but the head has one.',
                "Set loss_type='binary' and per_image=True.",
            )
    elif loss.value('use_sigmoid') is False:
        yield _no_sigmoid(loss.at('use_sigmoid'), 'is False')


def _no_sigmoid(place: str, what: str) -> ConfigProblem:
    return ConfigProblem(
        place,
        f'{what}, but the head has one channel, which needs a sigmoid.',
        "Use dict(type='CrossEntropyLoss', use_sigmoid=True), or give the head "
        'out_channels=2.',
    )
