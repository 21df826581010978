"""Ablation plans: YAML files that say which variants of a config to run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mcdrl_lab.errors import ProtocolError

from .plan import Method, check_config_file
from .plan_trust import check_config_place, check_options

PLAN_KEYS = {'description', 'config', 'variants', 'sweeps'}
VARIANT_KEYS = {'name', 'config', 'cfg_options'}
SWEEP_KEYS = {'name', 'config', 'key', 'values', 'cfg_options'}


# The largest plan in this repository has 700. Nested aliases can expand to any number.
_MOST_ENTRIES = 100_000


def _check(where: str, entry: Any, known: set[str], needed: set[str]) -> Mapping:
    if not isinstance(entry, Mapping):
        raise ProtocolError(f'{where} must be a mapping, got {entry!r}.')
    unknown = sorted(set(entry) - known, key=str)
    missing = sorted(needed - set(entry))
    if unknown or missing:
        raise ProtocolError(
            f'{where}: unknown keys {unknown}, missing keys {missing}; known keys are '
            f'{sorted(known)}.'
        )
    return entry


def _options(where: str, entry: Mapping) -> dict[str, Any]:
    options = entry.get('cfg_options') or {}
    if not isinstance(options, Mapping):
        raise ProtocolError(
            f'{where}: cfg_options must map dotted config keys to values.'
        )
    return dict(options)


def _load_yaml(path: Path) -> Any:
    """Read a YAML file as plain data; refuse it if its aliases expand to too much."""
    loader = yaml.SafeLoader(path.read_text(encoding='utf-8'))
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > _MOST_ENTRIES:
            raise ProtocolError(
                f'{path}: the plan has more than {_MOST_ENTRIES} entries once its '
                'aliases are expanded. Use fewer aliases, or split the plan.'
            )
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Number of entries of a node with all aliases expanded."""
    if id(node) not in known:
        # Until it is counted: an alias inside its own anchor would expand forever.
        known[id(node)] = _MOST_ENTRIES + 1
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        below = [
            one
            for part in parts
            for one in (part if isinstance(part, tuple) else (part,))
        ]
        known[id(node)] = 1 + sum(_size(one, known) for one in below)
    return known[id(node)]


def _read_plan(path: Path) -> Mapping:
    try:
        if path.exists() and not path.is_file():
            raise ProtocolError(f'cannot read the plan {path}: not a regular file.')
        plan = _load_yaml(path)
    except OSError as error:
        raise ProtocolError(f'cannot read the plan {path}: {error.strerror}.') from None
    except ProtocolError:
        raise
    # Valid YAML can still be too much for Python: long numbers, deep nesting.
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        reason = ' '.join(str(error).split())
        raise ProtocolError(f'{path} is not a YAML file: {reason}') from None
    plan = _check(str(path), plan, PLAN_KEYS, set())
    for key in ('variants', 'sweeps'):
        if not isinstance(plan.get(key) or [], list):
            raise ProtocolError(f'{path}: {key} must be a list.')
    return plan


def is_plan(path: str | os.PathLike) -> bool:
    """Whether a YAML file is a plan, that is, has variants or sweeps; no config has.

    Args:
        path: The file.

    Returns:
        False also if the file is not YAML.
    """
    try:
        content = _load_yaml(Path(path))
    except (OSError, yaml.YAMLError, ValueError, RecursionError, TypeError):
        # The error is reported when the file is read as a config.
        return False
    return isinstance(content, Mapping) and not {'variants', 'sweeps'}.isdisjoint(
        content
    )


def load_ablation(
    path: str | os.PathLike,
    config: str | os.PathLike | None = None,
    trust: bool = False,
) -> list[Method]:
    """Read an ablation plan.

    A plan holds ``config`` (path relative to the plan's folder), ``variants``, each
    with a ``name`` and ``cfg_options`` or a ``config`` of its own, and ``sweeps``,
    each of which varies one ``key`` over ``values`` under names such as
    ``depth{value}``; a sweep may have ``cfg_options`` and ``config`` too. Nothing in
    the file is executed. Unless the plan is trusted, it may name only registered types
    and configs beside it; see :mod:`mcdrl_lab.plans.plan_trust`.

    Args:
        path: The YAML file.
        config: Config to use instead of the plan's own; then no variant or
            sweep may name another one.
        trust: Whether the plan may name any config, type and import.

    Returns:
        One method per variant, then one per value of each sweep.

    Raises:
        ProtocolError: The file is not a plan, or uses something that only a trusted
            plan may use; names file and key.
    """
    path = Path(path)
    plan = _read_plan(path)
    methods = []

    def add(where: str, entry: Mapping, name: str, options: dict[str, Any]) -> None:
        own = entry.get('config')
        if config is not None and own is not None:
            raise ProtocolError(
                f'{where} has its own config, so this plan cannot be run with another '
                'one. Leave out --config.'
            )
        chosen = config or own or plan.get('config')
        if chosen is None:
            raise ProtocolError(
                f'{where} has no config: add one to the plan, to the variant or with '
                '--config.'
            )
        if config is None:
            if not isinstance(chosen, str):
                raise ProtocolError(f'{where}: config {chosen!r} is not a path.')
            check_config_file(where, path.parent / chosen)
            chosen = os.path.relpath(path.parent / chosen)
            if not trust:
                check_config_place(path, where.removeprefix(f'{path}: '), chosen)
        if not trust:
            check_options(path, where.removeprefix(f'{path}: '), options)
        methods.append(Method(name, str(chosen), options))

    for number, entry in enumerate(plan.get('variants') or ()):
        where = f'{path}: variants[{number}]'
        _check(where, entry, VARIANT_KEYS, {'name'})
        add(where, entry, str(entry['name']), _options(where, entry))
    for number, entry in enumerate(plan.get('sweeps') or ()):
        where = f'{path}: sweeps[{number}]'
        _check(where, entry, SWEEP_KEYS, {'name', 'key', 'values'})
        if not isinstance(entry['values'], list) or not isinstance(entry['key'], str):
            raise ProtocolError(
                f'{where}: expected a string for key and a list for values.'
            )
        if '{value}' not in str(entry['name']):
            raise ProtocolError(
                f'{where}: name must contain {{value}}, which stands for each of the '
                'values.'
            )
        for value in entry['values']:
            name = str(entry['name']).replace('{value}', str(value))
            add(where, entry, name, {**_options(where, entry), entry['key']: value})
    if not methods:
        raise ProtocolError(
            f'{path} defines no method: add an entry to variants or sweeps.'
        )
    names = [method.name for method in methods]
    for name in names:
        if names.count(name) > 1:
            raise ProtocolError(
                f'{path}: several variants are named {name!r}. Give each its own name.'
            )
    return methods
