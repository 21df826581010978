"""Values of a wrong type."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from mmseg.registry import OPTIMIZERS

from .config_components import Component
from .config_problem import ConfigProblem

_SECTIONS = {
    'model': Mapping,
    'train_dataloader': Mapping,
    'val_dataloader': Mapping,
    'test_dataloader': Mapping,
    'train_cfg': Mapping,
    'default_hooks': Mapping,
    'custom_hooks': Sequence,
    'optim_wrapper': Mapping,
}
_NAMES = {
    int: 'a whole number',
    float: 'a number',
    str: 'a string',
    bool: 'True or False',
    type(None): 'None',
    Mapping: 'a dict',
    Sequence: 'a list',
}


def value_problems(
    cfg: Mapping[str, Any], parts: Iterable[Component]
) -> Iterator[ConfigProblem]:
    """Sections that are no dict, arguments of a wrong type, a learning rate as text."""
    for key, kind in _SECTIONS.items():
        value = cfg.get(key)
        if value is not None and not _fits(value, (kind,)):
            yield _problem(key, value, (kind,))
    for part in parts:
        # torch's own error about such a value does not point to the config.
        rate = part.cfg.get('lr')
        if part.registry is OPTIMIZERS and isinstance(rate, str):
            yield _problem(part.at('lr'), rate, (float,))
        if not part.is_ours:
            continue
        for key, kinds in _argument_types(part.cls).items():
            if key in part.cfg and not _fits(part.cfg[key], kinds):
                yield _problem(part.at(key), part.cfg[key], kinds)


def _problem(place: str, value: Any, kinds: tuple[type, ...]) -> ConfigProblem:
    expected = ' or '.join(_NAMES[kind] for kind in kinds)
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f'{shown[:57]}...'
    return ConfigProblem(place, f'is {shown}.', f'Expected {expected}.')


@cache
def _argument_types(cls: Any) -> dict[str, tuple[type, ...]]:
    """Argument -> the plain types allowed; other arguments are left to the class."""
    try:
        hints = typing.get_type_hints(cls.__init__)
    except NameError:
        # Some annotations are imported for type checkers only.
        return {}
    kinds = {name: _plain(hint) for name, hint in hints.items() if name != 'return'}
    return {name: found for name, found in kinds.items() if found}


def _plain(hint: Any) -> tuple[type, ...]:
    """Plain types of an annotation; empty if it names any other type."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        parts = [_plain(part) for part in typing.get_args(hint)]
        merged = tuple(dict.fromkeys(kind for part in parts for kind in part))
        return merged if all(parts) else ()
    kind = origin or hint
    if isinstance(kind, type) and issubclass(kind, (dict, list, tuple)):
        kind = Mapping if issubclass(kind, dict) else Sequence
    return (kind,) if kind in _NAMES else ()


def _fits(value: Any, kinds: tuple[type, ...]) -> bool:
    return any(_is(value, kind) for kind in kinds)


def _is(value: Any, kind: type) -> bool:
    if kind in (int, float) and isinstance(value, bool):
        return False
    if kind is float:
        return isinstance(value, (int, float))
    if kind is Sequence:
        return isinstance(value, (list, tuple))
    return isinstance(value, kind)
