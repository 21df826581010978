"""Removes entries from a model's config that inference does not need."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.registry import Registry
from mmseg.registry import MODELS

# Packages whose components a checkpoint's config may name.
SCOPES = ('mmseg', 'mmengine', 'mmcv', 'mmpretrain')
_TRAINING = ('init_cfg', 'train_cfg', 'sampler', 'pretrained')
_OWN_PACKAGE = 'mcdrl_mmseg'
_REQUIRED = inspect.Parameter.empty


def without_training(config: Any) -> Any:
    """Remove losses, samplers, ``train_cfg``, ``init_cfg`` and ``pretrained``.

    A component then uses its default, or None if it has no default. For components that
    load weights by default, this is switched off. ``pretrained`` of this package's
    towers stays: it also decides the activation, and they load nothing when they are
    built.

    Args:
        config: Config of a model or of a part of one.

    Returns:
        A copy; its model has weights of the same names and shapes.
    """
    if isinstance(config, list | tuple):
        return type(config)(without_training(item) for item in config)
    if not isinstance(config, Mapping):
        return config
    component = component_class(config)
    own = getattr(component, '__module__', '').partition('.')[0] == _OWN_PACKAGE
    kept = {}
    for key, value in config.items():
        if not _is_of_training(key, value) or (own and key == 'pretrained'):
            kept[key] = without_training(value)
        elif component is None or _default(component, key) is _REQUIRED:
            kept[key] = None
    if not own and component is not None and _default(component, 'pretrained') is True:
        kept['pretrained'] = False
    return kept


def _is_of_training(key: Any, value: Any) -> bool:
    if key in _TRAINING:
        return True
    is_loss = isinstance(key, str) and (key == 'loss' or key.startswith('loss_'))
    # Keep None: this package's heads have losses by default, and one adds weights.
    return is_loss and isinstance(value, Mapping | list | tuple)


def component_class(config: Mapping) -> type | None:
    """The class that a config names, if it is registered.

    Args:
        config: Config of a model or of a part of one.
    """
    name = config.get('type')
    if not isinstance(name, str):
        return None
    scope, _, plain = name.rpartition('.')
    if scope and scope not in SCOPES:
        return None
    if scope and scope != MODELS.scope:
        with MODELS.switch_scope_and_registry(scope) as registry:
            return registry.module_dict.get(plain)
    holders = (r for r in with_parents(MODELS) if plain in r.module_dict)
    return next((holder.module_dict[plain] for holder in holders), None)


def with_parents(registry: Registry) -> Iterator[Registry]:
    """A registry and its parent registries.

    Args:
        registry: A registry.
    """
    place: Registry | None = registry
    while place is not None:
        yield place
        place = place.parent


def _default(component: type, key: str) -> Any:
    """The default of an argument, which may be an argument of a base class."""
    for owner in getattr(component, '__mro__', (component,)):
        method = vars(owner).get('__init__') if isinstance(owner, type) else owner
        if method is None:
            continue
        parameters = inspect.signature(method).parameters
        if key in parameters:
            return parameters[key].default
    return _REQUIRED
