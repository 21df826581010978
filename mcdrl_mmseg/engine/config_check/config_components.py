"""The components of a config (dicts that name a registered class) and their keys."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from mmengine.registry import Registry
from mmseg.datasets import BaseSegDataset
from mmseg.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    LOOPS,
    METRICS,
    MODELS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    VISBACKENDS,
    VISUALIZERS,
)

# Registry of the class under each top-level key.
_ROOTS: dict[str, Registry] = {
    'model': MODELS,
    'train_dataloader': DATASETS,
    'val_dataloader': DATASETS,
    'test_dataloader': DATASETS,
    'val_evaluator': METRICS,
    'test_evaluator': METRICS,
    'default_hooks': HOOKS,
    'custom_hooks': HOOKS,
    'optim_wrapper': OPTIM_WRAPPERS,
    'param_scheduler': PARAM_SCHEDULERS,
    'train_cfg': LOOPS,
    'val_cfg': LOOPS,
    'test_cfg': LOOPS,
    'visualizer': VISUALIZERS,
}
# Keys below which another registry applies.
_BRANCHES: dict[str, Registry] = {
    'pipeline': TRANSFORMS,
    'transforms': TRANSFORMS,
    'sampler': DATA_SAMPLERS,
    'batch_sampler': DATA_SAMPLERS,
    'optimizer': OPTIMIZERS,
    'vis_backends': VISBACKENDS,
}
# Entries whose keys are not the arguments of a class.
_SKIPPED_SUFFIX = '_cfg'
_SKIPPED = frozenset({'metainfo', 'collate_fn', 'prompts', 'constructor'})


@dataclass(frozen=True)
class Component:
    """A dict of a config that names a class.

    Args:
        place: Its full key, as ``model.decode_head``.
        cfg: Its entries.
        cls: The class, or None if no such class is registered.
        registry: Registry in which the class is looked up.
    """

    place: str
    cfg: Mapping[str, Any]
    cls: Any
    registry: Registry

    @classmethod
    def of(cls, place: str, cfg: Mapping[str, Any], registry: Registry) -> Component:
        """Make a component from a section of a config.

        Args:
            place: Its full key.
            cfg: Its entries.
            registry: Registry in which the class is looked up.
        """
        return cls(place, cfg, _class_of(cfg.get('type'), registry), registry)

    def is_a(self, kind: type) -> bool:
        """Whether its class is a given class or a subclass.

        Args:
            kind: The given class.
        """
        return isinstance(self.cls, type) and issubclass(self.cls, kind)

    @property
    def is_ours(self) -> bool:
        """Whether its class is the plug-in's own."""
        return getattr(self.cls, '__module__', '').startswith('mcdrl_mmseg.')

    def value(self, key: str, otherwise: Any = None) -> Any:
        """One of its entries, or the default of the class.

        Args:
            key: The entry's key.
            otherwise: Value if no constructor of the class has a default either.
        """
        if key in self.cfg:
            return self.cfg[key]
        for cls in inspect.getmro(self.cls) if isinstance(self.cls, type) else ():
            constructor = vars(cls).get('__init__')
            if isinstance(constructor, FunctionType):
                parameter = inspect.signature(constructor).parameters.get(key)
                if parameter is not None:
                    given = parameter.default is not parameter.empty
                    return parameter.default if given else otherwise
        return otherwise

    def at(self, key: str) -> str:
        """Full key of one of its entries.

        Args:
            key: The entry's key.
        """
        return f'{self.place}.{key}'


def components(cfg: Mapping[str, Any]) -> list[Component]:
    """All components of a config, outer ones first.

    Args:
        cfg: Experiment config.
    """
    found: list[Component] = []
    for key, registry in _ROOTS.items():
        found += _walk(key, cfg.get(key), registry)
    return found


def _walk(place: str, value: Any, registry: Registry) -> Iterator[Component]:
    if isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _walk(f'{place}[{number}]', item, registry)
        return
    if not isinstance(value, Mapping):
        return
    if value.get('type') is not None:
        part = Component.of(place, value, registry)
        yield part
        if registry is TRANSFORMS and not _holds_transforms(part.cls):
            return
    for key, item in value.items():
        if not isinstance(key, str) or key in _SKIPPED or key.endswith(_SKIPPED_SUFFIX):
            continue
        branch = _BRANCHES.get(key, registry)
        # A model's OHEM sampler is not a dataloader's sampler.
        if branch is DATA_SAMPLERS and registry is not DATASETS:
            continue
        yield from _walk(f'{place}.{key}', item, branch)


def _holds_transforms(cls: Any) -> bool:
    """Whether dicts among a transform's arguments are MMSegmentation's transforms.

    For ``Albu`` they are albumentations' transforms; for other packages' transforms
    this is not known.
    """
    module = getattr(cls, '__module__', '')
    return module.startswith(('mcdrl_mmseg.', 'mmcv.transforms.'))


def _class_of(name: Any, registry: Registry) -> Any:
    """The class; None for another package's class, which must not be imported here."""
    if not isinstance(name, str):
        return name if callable(name) else None
    if '.' in name or not name:
        return None
    return registry.get(name)


def datasets_of(parts: Iterable[Component], loader: str) -> list[Component]:
    """MMSegmentation's data sets that a dataloader reads.

    Args:
        parts: Components of the config.
        loader: ``'train'``, ``'val'`` or ``'test'``.
    """
    place = f'{loader}_dataloader.dataset'
    within = [part for part in parts if part.place.startswith(place)]
    return [part for part in within if part.is_a(BaseSegDataset)]


def registered_names(registry: Registry) -> list[str]:
    """Names that a registry finds: its own and those of its parent registries.

    Args:
        registry: A registry of MMSegmentation.
    """
    names = list(registry.module_dict)
    while registry.parent is not None:
        registry = registry.parent
        names += registry.module_dict
    return names
