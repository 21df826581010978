"""Checkpoints that may be untrusted: tensors are loaded, code is never run."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmseg.models.segmentors import BaseSegmentor
from mmseg.registry import MODELS
from torch import nn

from mcdrl_common.model_settings import model_hash
from mcdrl_common.printable import printable, short_repr
from mcdrl_common.site_reference import META_KEY
from mcdrl_common.trained_sites import trained_sites
from mcdrl_mmseg.models import ConfounderDictionary
from mcdrl_mmseg.models.dictionary_agreement import (
    other_prior,
    other_words,
    put_families_in_order,
)
from mcdrl_mmseg.models.last_decode_head import last_decode_head
from mcdrl_mmseg.safe_loading import (
    CheckpointError,
    check_parts,
    check_weights,
    few_keys,
    load_tensors,
    refuse_misfit,
)

from .checkpoint_config import (
    CheckpointConfig,
    CheckpointConfigError,
    parse_config_text,
)
from .config import read_config
from .inference_config import component_class
from .sealing.image_growth import MOST_PIXELS
from .sealing.sealed_building import named_failures, sealed_if_strange
from .temperature import temperature_of

_LARGEST_SIDE = math.isqrt(MOST_PIXELS)


def read_checkpoint(path: str | os.PathLike) -> dict:
    """Read a checkpoint without unpickling anything but tensors and plain data.

    See :func:`mcdrl_mmseg.safe_loading.load_tensors`.

    Args:
        path: A checkpoint of MMEngine, or a plain state dict.

    Returns:
        Its content with a ``state_dict``, on the CPU.

    Raises:
        CheckpointError: The file does not exist, is damaged, contains other objects, or
            has no weights.
    """
    path = Path(path)
    try:
        is_file = path.is_file()
    except OSError as error:
        # For example, the name is too long.
        raise CheckpointError(f'checkpoint {str(path)!r}: {error.strerror}.') from None
    if not is_file:
        raise CheckpointError(f'checkpoint {str(path)!r} is not a file.')
    content = load_tensors(path)
    check_parts(content, path)
    if 'state_dict' not in content:
        content = dict(state_dict=content)
    state = content['state_dict'] or {}
    if not any(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointError(
            f'{path} holds no weights: its state_dict has no tensor. Use the '
            'checkpoint of a trained model.'
        )
    return dict(content)


def config_of(checkpoint: Mapping, source: str | os.PathLike) -> CheckpointConfig:
    """The config that a checkpoint was trained with, read as data.

    Args:
        checkpoint: Content from :func:`read_checkpoint`.
        source: Its path, for messages.

    Raises:
        CheckpointError: The checkpoint has no config.
        CheckpointConfigError: See :func:`parse_config_text`; or the config has no
            segmentor.
    """
    text = (checkpoint.get('meta') or {}).get('cfg')
    if text is None:
        runtime = (checkpoint.get('message_hub') or {}).get('runtime_info')
        text = runtime.get('cfg') if isinstance(runtime, Mapping) else None
    if not isinstance(text, str):
        raise CheckpointError(
            f"{source} does not hold the config it was trained with (meta['cfg']). "
            'Name the config file with --config.'
        )
    config = parse_config_text(text, str(source))
    built = component_class(config.model)
    if not (isinstance(built, type) and issubclass(built, BaseSegmentor)):
        raise CheckpointConfigError(
            f'{source}: model.type={config.model["type"]!r} in its config is not a '
            'segmentor. Name a config file with --config.'
        )
    return config


def load_segmentor(
    checkpoint: str | os.PathLike,
    config: str | os.PathLike | Config | None = None,
    device: str | None = None,
) -> nn.Module:
    """Build a segmentor and load its weights; needs no config file.

    Like ``mmseg.apis.init_model``, but nothing in the checkpoint is executed, its
    config is built inside :func:`~mcdrl_mmseg.apis.sealing.sealed_building.sealed`, and
    weights that do not fit or are not finite raise an error.

    Args:
        checkpoint: The file.
        config: A config file, which MMEngine executes; None takes the config in the
            checkpoint, which is read as data.
        device: As ``'cuda:0'``; None takes a GPU if there is one.

    Returns:
        The segmentor in evaluation mode, with the attributes ``cfg``, ``dataset_meta``,
        ``model_hash`` (see :func:`~mcdrl_common.model_settings.model_hash`),
        ``temperature`` (None if the checkpoint is not calibrated), ``site_reference``
        (statistics of the training sites as text, or None) and ``trained_sites`` (see
        :func:`~mcdrl_common.trained_sites.trained_sites`).

    Raises:
        CheckpointError: The file cannot be used, or does not fit the config.
        CheckpointConfigError: The config in it is refused, or cannot be built.
        FileNotFoundError: No such config file.
        ConfigFileError: The config file merges a dict into a value that is none.
    """
    content = read_checkpoint(checkpoint)
    if config is None:
        cfg = config_of(content, checkpoint)
    elif isinstance(config, Config):
        cfg = copy.deepcopy(config)
    else:
        if not Path(config).is_file():
            raise FileNotFoundError(f'config {str(config)!r} is not a file.')
        cfg = read_config(config)
    if config is not None:
        from mcdrl_mmseg.engine.insertion import with_mcdrl

        # As in training. Configs in checkpoints already have MCDRL inserted.
        cfg = with_mcdrl(cfg)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    settings = model_hash(cfg.model)
    # As in mmseg: weights come only from the checkpoint.
    cfg.model.pretrained = None
    cfg.model.train_cfg = None
    with named_failures(cfg, 'model'), sealed_if_strange(cfg):
        model = MODELS.build(cfg.model)
    if isinstance(cfg, CheckpointConfig):
        _check_padding(model, checkpoint)
    _load_weights(model, content['state_dict'], checkpoint)
    model.cfg, model.model_hash = cfg, settings
    model.dataset_meta = _dataset_meta(content, model, checkpoint)
    channels = getattr(model, 'out_channels', len(model.dataset_meta['classes']))
    model.temperature = temperature_of(content, channels, checkpoint)
    dictionary = getattr(last_decode_head(model), 'dictionary', None)
    if isinstance(dictionary, ConfounderDictionary):
        meta = content.get('meta') or {}
        put_families_in_order(dictionary, meta)
        if config is not None:
            problem = other_words(dictionary, meta) or other_prior(dictionary)
            if problem:
                raise CheckpointError(f'{checkpoint}: {problem}')
    # Not parsed here: image_flags.py checks it where it is needed.
    model.site_reference = (content.get('meta') or {}).get(META_KEY)
    model.trained_sites = trained_sites(content, checkpoint)
    device = device or get_device()
    if not device.startswith('cuda'):
        model = revert_sync_batchnorm(model)
    return model.to(device).eval()


def _check_padding(model: nn.Module, source: str | os.PathLike) -> None:
    """Refuse a data preprocessor that pads an untrusted image to any size."""
    padding = getattr(model.data_preprocessor, 'test_cfg', None) or {}
    for key in ('size', 'size_divisor'):
        sides = np.atleast_1d(padding.get(key) or 0)
        if sides.dtype.kind not in 'iu' or (sides > _LARGEST_SIDE).any():
            raise CheckpointConfigError(
                f'{source}: model.data_preprocessor.test_cfg.{key}='
                f'{short_repr(padding[key])} in its config: expected integers up to '
                f'{_LARGEST_SIDE}. If you trust its origin, name its config file with '
                '--config.'
            )


def _load_weights(model: nn.Module, state: Mapping, source: str | os.PathLike) -> None:
    state = {key.removeprefix('module.'): value for key, value in state.items()}
    own = model.state_dict()
    missing = sorted(own.keys() - state.keys())
    other_shape = sorted(
        key
        for key in own.keys() & state.keys()
        if not isinstance(state[key], torch.Tensor)
        or own[key].shape != state[key].shape
    )
    remedy = 'Name the config it was trained with (--config).'
    refuse_misfit(source, model, missing, other_shape, remedy)
    check_weights(own, state, source)
    spare = sorted(state.keys() - own.keys())
    if spare:
        print_log(
            f'{source} holds {len(spare)} weights that the model does not have'
            f'{few_keys(spare)}. They are ignored.',
            logger='current',
        )
    model.load_state_dict({key: state[key] for key in own})


def _dataset_meta(
    checkpoint: Mapping, model: nn.Module, source: str | os.PathLike
) -> dict:
    """Class names and palette; numbers as names if the checkpoint has none."""
    meta = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
    if not isinstance(meta, Mapping):
        raise _meta_error(source, 'dataset_meta', meta, 'a dict')
    classes = meta.get('classes')
    if classes is not None and not _are_names(classes):
        raise _meta_error(
            source, "dataset_meta['classes']", classes, 'a list of strings'
        )
    count = last_decode_head(model).num_classes
    if classes is None or len(classes) != count:
        classes = ('background', *(f'class {n}' for n in range(1, count)))
    palette = meta.get('palette')
    if palette is not None and not _are_colors(palette):
        expected = 'a list of colours, each of three integers from 0 to 255'
        raise _meta_error(source, "dataset_meta['palette']", palette, expected)
    if palette is None or len(palette) != count:
        palette = [(0, 0, 0), *_colors(count - 1)]
    return dict(
        classes=tuple(classes),
        palette=[[int(value) for value in color] for color in palette],
    )


def _meta_error(
    source: str | os.PathLike, key: str, value: Any, expected: str
) -> CheckpointError:
    return CheckpointError(
        f'{source}: {key}={short_repr(value)} in meta must be {expected}. The file was '
        'changed, or was made by another program. Nothing was loaded.'
    )


def _are_names(classes: Any) -> bool:
    # A lone surrogate cannot be written to a file.
    return isinstance(classes, list | tuple) and all(
        isinstance(name, str) and name == printable(name) for name in classes
    )


def _are_colors(palette: Any) -> bool:
    if not isinstance(palette, list | tuple | np.ndarray):
        return False
    try:
        colors = np.asarray(palette)
    except (ValueError, TypeError, RuntimeError):
        # For example, lists of different lengths.
        return False
    if colors.size == 0:
        return True
    integers = colors.dtype.kind in 'iu' and colors.shape[1:] == (3,)
    return integers and colors.min() >= 0 and colors.max() <= 255


def _colors(count: int) -> list[tuple[int, int, int]]:
    from mcdrl_mmseg.visualization.overlay import MASK_COLORS

    return [MASK_COLORS[n % len(MASK_COLORS)] for n in range(count)]
