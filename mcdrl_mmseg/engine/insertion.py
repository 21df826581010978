"""Inserts MCDRL into a stock config."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mcdrl_common import InputError
from mcdrl_mmseg.clip.model_config import get_model_config

# The level that a head reads in training and in evaluation, if `in_index` does not name
# it. PIDNet's backbone returns P, I and D in training, and only I in evaluation.
_MAIN_LEVEL = {'PIDHead': 1}
_UNSUPPORTED = {
    'DepthEstimator': 'it estimates depth, and there is no lesion in its labels',
    'MultimodalEncoderDecoder': 'it is CLIP itself, whose side adapter has no feature '
    'map between a backbone and a decode head; CLIPVisionBackbone takes such a tower',
}


class NotConvertibleError(InputError, ValueError):
    """MCDRL cannot be put into a model; the message says why."""


def insert_mcdrl(cfg: Config) -> Config:
    """Put MCDRL between the backbone and the decode head of a stock config.

    Backbone and neck are wrapped together with a CLIP guide. The decode head, or the
    last one of a cascade, becomes the predictor behind the intervention. The
    intervention works on the last level that the head reads, unless
    ``mcdrl.head.in_index`` names others.

    Args:
        cfg: Config of an ``EncoderDecoder``, with an entry ``mcdrl`` of three parts:
            ``clip``, as for :class:`CLIPGuidedBackbone`; ``head``, further arguments of
            :class:`CausalInterventionHead`; ``hooks``, appended to ``custom_hooks``.
            The dictionary's ``embed_dims`` follows from ``clip.model_name`` unless it
            is given.

    Returns:
        A config without ``mcdrl`` and ``runner_type``, as if written by hand.

    Raises:
        ValueError: The config has no entry ``mcdrl``.
        NotConvertibleError: The model has no place for MCDRL.
    """
    if not cfg.get('mcdrl'):
        raise ValueError(
            "runner_type='MCDRLRunner' needs an entry mcdrl=dict(clip, head, hooks): "
            "add configs/_base_/mcdrl.py to the config's _base_."
        )
    cfg = copy.deepcopy(cfg)
    options = cfg.pop('mcdrl')
    cfg.pop('runner_type', None)
    model = cfg.model
    for name, part in _guided(model, options, cfg.get('data_preprocessor')).items():
        model[name] = part
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), *options.hooks]
    return cfg


def with_mcdrl(cfg: Config) -> Config:
    """Insert MCDRL into a config with ``runner_type='MCDRLRunner'``.

    Args:
        cfg: A config; without this runner type it is returned as it is.

    Raises:
        NotConvertibleError: The model has no place for MCDRL.
    """
    return insert_mcdrl(cfg) if cfg.get('runner_type') == 'MCDRLRunner' else cfg


def mcdrl_over(
    model: Mapping[str, Any],
    options: str | os.PathLike,
    prompts: Mapping[str, Any],
    **head: Any,
) -> dict[str, Any]:
    """Insert MCDRL into the stock model of a config's ``_base_`` while it is read.

    Unlike with ``runner_type='MCDRLRunner'``, the config then holds the whole model,
    for every tool that reads it.

    Args:
        model: The stock model.
        options: Path of ``configs/_base_/mcdrl.py``, whose ``clip`` and ``head`` are
            the defaults.
        prompts: Prompts of the dictionary; replace those of ``options``.
        **head: Changes to ``head``, as ``intervention=dict(num_layers=2)``.

    Returns:
        The parts that replace those of ``model``: ``backbone``, ``decode_head`` and, if
        ``model`` has them, ``neck`` and ``auxiliary_head``.

    Raises:
        NotConvertibleError: The model has no place for MCDRL.

    Examples:
        >>> _base_ = ['own_segformer.py', '_base_/prompts/fundus.py']
        >>> model = __import__('mcdrl_mmseg').mcdrl_over(
        ...     _base_.model, '_base_/mcdrl.py', prompts=_base_.prompts
        ... )
    """
    defaults = Config.fromfile(options)
    defaults.merge_from_dict({'mcdrl.head': head})
    defaults.mcdrl.head.dictionary.prompts = prompts
    parts = _guided(copy.deepcopy(model), defaults.mcdrl)
    return {
        name: dict(part, _delete_=True) if isinstance(part, dict) else part
        for name, part in parts.items()
    }


def _guided(
    model: Mapping[str, Any],
    options: Mapping[str, Any],
    preprocessor: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The parts of a stock model that MCDRL changes."""
    _check_convertible(model)
    heads = model['decode_head']
    cascade = isinstance(heads, list | tuple)
    *earlier, predictor = heads if cascade else [heads]
    decode_head = dict(
        type='CausalInterventionHead',
        predictor=predictor,
        **{**options['head'], **_intervened_levels(predictor, options['head'])},
    )
    decode_head['dictionary'] = _dictionary(decode_head['dictionary'], options['clip'])
    _drop_constant_target(decode_head)
    parts: dict[str, Any] = dict(
        backbone=_guided_backbone(model, options['clip'], preprocessor),
        decode_head=[*map(_reading_before_clip, earlier), decode_head]
        if cascade
        else decode_head,
    )
    if model.get('neck'):
        parts['neck'] = None
    auxiliary = model.get('auxiliary_head')
    if isinstance(auxiliary, list | tuple):
        parts['auxiliary_head'] = [*map(_reading_before_clip, auxiliary)]
    elif auxiliary:
        parts['auxiliary_head'] = _reading_before_clip(auxiliary)
    return parts


def _dictionary(
    dictionary: Mapping[str, Any], clip: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Set ``embed_dims`` to the width of the tower's joint space, unless given."""
    if 'embed_dims' in dictionary:
        return dictionary
    name = clip.get('model_name', 'ViT-B-16')
    return {**dictionary, 'embed_dims': get_model_config(name)['embed_dim']}


def _check_convertible(model: Mapping[str, Any]) -> None:
    kind = str(model.get('type'))
    why = _UNSUPPORTED.get(kind)
    missing = [name for name in ('backbone', 'decode_head') if not model.get(name)]
    if why is None and missing:
        why = f'it has no {" and no ".join(missing)}'
    if why is not None:
        raise NotConvertibleError(f'MCDRL cannot be put into a {kind}: {why}.')


def _guided_backbone(
    model: Mapping[str, Any],
    clip: Mapping[str, Any],
    preprocessor: Mapping[str, Any] | None,
) -> dict[str, Any]:
    preprocessor = model.get('data_preprocessor') or preprocessor
    if preprocessor is None:
        raise NotConvertibleError(
            'MCDRL needs the mean and std that images are normalised with. Set '
            'data_preprocessor in the model or in the config.'
        )
    backbone = dict(
        type='CLIPGuidedBackbone',
        backbone=model['backbone'],
        clip=clip,
        # Without mean and std the data preprocessor does not normalise.
        mean=preprocessor.get('mean') or [0.0] * 3,
        std=preprocessor.get('std') or [1.0] * 3,
    )
    if model.get('neck'):
        backbone['neck'] = model['neck']
    if not preprocessor.get('bgr_to_rgb', False):
        backbone['bgr'] = True
    return backbone


def _intervened_levels(
    predictor: Mapping[str, Any], asked: Mapping[str, Any]
) -> dict[str, Any]:
    """``in_channels`` and ``in_index`` of the MCDRL head.

    Args:
        predictor: Config of the stock head.
        asked: ``mcdrl.head``, which may name levels of the backbone.
    """
    # K-Net's head reads the levels through the head that generates its kernels.
    reader = predictor.get('kernel_generate_head', predictor)
    widths = _widths(reader)
    index, channels = asked.get('in_index'), asked.get('in_channels')
    if index is None and widths:
        index = _MAIN_LEVEL.get(reader['type'], [*widths][-1])
    if channels is None or index is None:
        channels = _map_levels(lambda level: _width_of(level, widths, reader), index)
    return dict(in_channels=channels, in_index=_map_levels(_before_clip, index))


def _widths(reader: Mapping[str, Any]) -> dict[int, int]:
    """Width of each level that a stock head reads, in its order."""
    channels, index = reader.get('in_channels'), reader.get('in_index', -1)
    if channels is None:
        return {}
    if not isinstance(channels, list | tuple):
        return {_MAIN_LEVEL.get(reader['type'], _last(index)): channels}
    if not isinstance(index, list | tuple):
        # Query-based heads take all levels and name none.
        index = range(len(channels))
    return dict(zip(index, channels, strict=True))


def _last(index: int | Sequence[int]) -> int:
    return index if isinstance(index, int) else index[-1]


def _width_of(
    level: int | None, widths: Mapping[int, int], reader: Mapping[str, Any]
) -> int:
    if level is None or level not in widths:
        what = 'a level' if level is None else f'level {level}'
        raise NotConvertibleError(
            f'{reader["type"]} does not specify the width of {what} (specified: '
            f'levels {list(widths)}). Set mcdrl.head.in_index to the level to '
            'intervene on, and mcdrl.head.in_channels to its width.'
        )
    return widths[level]


def _map_levels(function: Any, index: Any) -> Any:
    """Apply a function to one level, or to each of several."""
    if isinstance(index, list | tuple):
        return [function(level) for level in index]
    return function(index)


def _before_clip(index: int) -> int:
    """The index of a level after CLIP's map and embedding are appended."""
    return index if index >= 0 else index - 2


def _reading_before_clip(head: dict[str, Any]) -> dict[str, Any]:
    """Let a stock head other than the predictor read the same levels as before."""
    head['in_index'] = _map_levels(_before_clip, head.get('in_index', -1))
    return head


def _drop_constant_target(decode_head: dict[str, Any]) -> None:
    """Leave out L_causal for a single lesion class: its target would be constant."""
    classes = decode_head['dictionary']['prompts']['classes']
    if len(classes) == 1 and decode_head.get('loss_causal'):
        decode_head['loss_causal'] = None
        print_log(
            f'L_causal is left out: with {classes[0]!r} as the only lesion class its '
            'target is one constant vector. The bias of the projection into '
            "CLIP's space alone fits it, whatever the features are.",
            logger='current',
        )
