"""Fingerprint of a network's settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .config_datasets import type_name

# Entries that only a training reads, and paths.
_LEFT_OUT = ('init_cfg', 'train_cfg', 'sampler', 'pretrained', 'cache_dir')


def model_hash(model: Mapping[str, Any]) -> str:
    """Fingerprint of a model's config, the same before a training and in a checkpoint.

    It does not depend on weights, losses, paths, the order of keys, or whether a
    component is named with its scope or module.

    Args:
        model: The config's ``model``, with MCDRL inserted.

    Returns:
        SHA-256 as 64 hexadecimal digits.
    """
    text = json.dumps(_plain(model), sort_keys=True, separators=(',', ':'))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {str(key): item for key, item in value.items() if _counts(key, item)}
        named = {'type': type_name(value)} if 'type' in kept else {}
        return {**{key: _plain(item) for key, item in kept.items()}, **named}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return str(getattr(value, '__qualname__', value))


def _counts(key: Any, value: Any) -> bool:
    if value is None or key in _LEFT_OUT:
        return False
    is_loss = isinstance(key, str) and (key == 'loss' or key.startswith('loss_'))
    return not (is_loss and isinstance(value, Mapping | list | tuple))
