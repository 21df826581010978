"""MCDRL over a config that knows nothing of it."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.registry import RUNNERS
from torch import nn

from mcdrl_mmseg.clip.model_config import get_model_config


def insert_mcdrl(cfg: Config) -> Config:
    """Put MCDRL between the backbone and the decode head of a stock config.

    The backbone gets a CLIP guide beside it, and the decode head becomes the predictor
    behind the intervention, which works on the last level that the head reads.

    Args:
        cfg: Config of an ``EncoderDecoder``, with an entry ``mcdrl`` of three parts:
            ``clip``, of :class:`CLIPGuidedBackbone`; ``head``, further arguments of
            :class:`CausalInterventionHead`; ``hooks``, appended to ``custom_hooks``.
            The dictionary's ``embed_dims`` follows from ``clip.model_name`` unless it
            is given.

    Returns:
        A config without ``mcdrl`` and ``runner_type``, as if written by hand.

    Raises:
        ValueError: There is no ``mcdrl``, or the model is not one backbone with one
            decode head.
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


def mcdrl_over(
    model: Mapping[str, Any],
    options: str | os.PathLike,
    prompts: Mapping[str, Any],
    **head: Any,
) -> dict[str, Any]:
    """MCDRL over the stock model of a config's ``_base_``, while the config is read.

    The config then holds the whole model, for every tool that reads it, which one with
    ``runner_type='MCDRLRunner'`` does not.

    Args:
        model: The stock model, one backbone with one decode head.
        options: Path of ``configs/_base_/mcdrl.py``, whose ``clip`` and ``head`` are
            the defaults.
        prompts: Prompts of the dictionary, in the place of those of ``options``.
        **head: Changes to ``head``, as ``intervention=dict(num_layers=2)``.

    Returns:
        The parts that replace those of ``model``: ``backbone``, ``decode_head`` and, if
        there is one, ``auxiliary_head``.

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


def _before_clip(index: int) -> int:
    """The index of a level, once CLIP's map and embedding come after the levels."""
    return index if index >= 0 else index - 2


def _guided(
    model: Mapping[str, Any],
    options: Mapping[str, Any],
    preprocessor: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The parts of a stock model that change when MCDRL comes between them."""
    predictor = model['decode_head']
    if model.get('neck') or not isinstance(predictor, dict):
        raise ValueError(
            'MCDRL can be added to a model of one backbone and one decode_head; '
            f'{model["type"]} here has '
            + ('a neck.' if model.get('neck') else 'several decode heads.')
        )
    in_channels, in_index = (
        list(value)[-1] if isinstance(value, list | tuple) else value
        for value in (predictor['in_channels'], predictor.get('in_index', -1))
    )
    preprocessor = model.get('data_preprocessor') or preprocessor
    if preprocessor is None:
        raise ValueError(
            'MCDRL needs the mean and std that images are normalised with: give the '
            'model or the config a data_preprocessor.'
        )
    backbone = dict(
        type='CLIPGuidedBackbone',
        backbone=model['backbone'],
        clip=options['clip'],
        mean=preprocessor['mean'],
        std=preprocessor['std'],
    )
    if not preprocessor.get('bgr_to_rgb', False):
        backbone['bgr'] = True
    head = options['head']
    if 'embed_dims' not in head['dictionary']:
        name = options['clip'].get('model_name', 'ViT-B-16')
        width = get_model_config(name)['embed_dim']
        head = {**head, 'dictionary': {**head['dictionary'], 'embed_dims': width}}
    decode_head = dict(
        type='CausalInterventionHead',
        in_channels=in_channels,
        in_index=_before_clip(in_index),
        predictor=predictor,
        **head,
    )
    parts: dict[str, Any] = dict(backbone=backbone, decode_head=decode_head)
    auxiliary = model.get('auxiliary_head') or []
    for head in auxiliary if isinstance(auxiliary, list) else [auxiliary]:
        index = head.get('in_index', -1)
        several = isinstance(index, list | tuple)
        head['in_index'] = (
            [*map(_before_clip, index)] if several else _before_clip(index)
        )
    if auxiliary:
        parts['auxiliary_head'] = auxiliary
    return parts


@RUNNERS.register_module()
class MCDRLRunner(Runner):
    """MMEngine's runner on :func:`insert_mcdrl` of its config.

    Named by ``runner_type``, which MMSegmentation's tools read. The config that it
    writes into the work folder and into checkpoints is the one with MCDRL in it.

    Examples:
        >>> _base_ = ['./segformer_mit-b0.py', './_base_/mcdrl.py']
        >>> runner_type = 'MCDRLRunner'
    """

    @classmethod
    def from_cfg(cls, cfg: Config) -> Runner:
        """Build a runner, once the config with MCDRL in it is found to be right.

        Args:
            cfg: Config with an entry ``mcdrl``, see ``configs/_base_/mcdrl.py``.

        Raises:
            ConfigCheckError: Something is wrong with it.
        """
        from .config_check import check_config

        cfg = insert_mcdrl(cfg)
        # Whether it is to train or to test is not known here.
        check_config(cfg, training=False)
        return super().from_cfg(cfg)

    def train(self) -> nn.Module:
        """Train; what only a training needs is checked first.

        Raises:
            ConfigCheckError: The intervention would never begin, or weights to start
                from are not there.
        """
        from .config_check import check_config

        check_config(self.cfg)
        return super().train()
