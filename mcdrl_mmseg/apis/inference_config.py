"""A model's config without what inference has no use for."""

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
    """Take out losses, samplers, ``train_cfg``, ``init_cfg`` and ``pretrained``.

    A component then has its default for them, or None where it has no default.
    Components that load weights unless told otherwise are told so. ``pretrained`` of
    this package's towers stays: it also tells the activation, and they load nothing
    when they are built.

    Args:
        config: Of a model or a part of one.

    Returns:
        A copy; the weights that it is built with have the same names and shapes.
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
    # None stays: this package's heads have losses by default, one with weights.
    return is_loss and isinstance(value, Mapping | list | tuple)


def component_class(config: Mapping) -> type | None:
    """The class that a config is of, looked up among what is registered alone.

    Args:
        config: Of a model or a part of one.
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
    """A registry and those above it, in which it looks for what it lacks.

    Args:
        registry: A registry.
    """
    place: Registry | None = registry
    while place is not None:
        yield place
        place = place.parent


def _default(component: type, key: str) -> Any:
    """The default of an argument, which a class may hand on to the one it extends."""
    for owner in getattr(component, '__mro__', (component,)):
        method = vars(owner).get('__init__') if isinstance(owner, type) else owner
        if method is None:
            continue
        parameters = inspect.signature(method).parameters
        if key in parameters:
            return parameters[key].default
    return _REQUIRED
