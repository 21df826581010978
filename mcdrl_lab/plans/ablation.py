"""Ablation plans: YAML files that say which variants of a config to run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mcdrl_lab.errors import ProtocolError

from .plan import Method

PLAN_KEYS = {'description', 'config', 'variants', 'sweeps'}
VARIANT_KEYS = {'name', 'config', 'cfg_options'}
SWEEP_KEYS = {'name', 'config', 'key', 'values', 'cfg_options'}


def _check(where: str, entry: Any, known: set[str], needed: set[str]) -> Mapping:
    if not isinstance(entry, Mapping):
        raise ProtocolError(f'{where} must be a mapping, got {entry!r}.')
    unknown, missing = sorted(set(entry) - known), sorted(needed - set(entry))
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


def load_ablation(
    path: str | os.PathLike, config: str | os.PathLike | None = None
) -> list[Method]:
    """Read an ablation plan.

    A plan holds ``config`` (path relative to the plan's folder), ``variants``, each
    with a ``name`` and ``cfg_options`` or a ``config`` of its own, and ``sweeps``,
    each of which varies one ``key`` over ``values`` under names such as
    ``depth{value}``, beside the same two. Values are data: nothing in the file is
    executed.

    Args:
        path: The YAML file.
        config: Config to use instead of the plan's own; then no variant or
            sweep may name another one.

    Returns:
        One method a variant, sweeps after the named ones.

    Raises:
        ProtocolError: The file is not a plan; names file and key.
    """
    path = Path(path)
    try:
        plan = yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise ProtocolError(f'cannot read the plan {path}: {error.strerror}.') from None
    except yaml.YAMLError as error:
        reason = ' '.join(str(error).split())
        raise ProtocolError(f'{path} is not a YAML file: {reason}') from None
    plan = _check(str(path), plan, PLAN_KEYS, set())
    methods = []

    def add(where: str, entry: Mapping, name: str, options: dict[str, Any]) -> None:
        own = entry.get('config')
        if config is not None and own is not None:
            raise ProtocolError(
                f'{where} names a config of its own, so this plan cannot be run with '
                'another config.'
            )
        chosen = config or own or plan.get('config')
        if chosen is None:
            raise ProtocolError(
                f'{where} has no config: name one in the plan, in the variant or '
                'with --config.'
            )
        if config is None:
            chosen = os.path.relpath(path.parent / chosen)
        methods.append(Method(name, str(chosen), options))

    for number, entry in enumerate(plan.get('variants') or ()):
        where = f'{path}: variants[{number}]'
        _check(where, entry, VARIANT_KEYS, {'name'})
        add(where, entry, str(entry['name']), _options(where, entry))
    for number, entry in enumerate(plan.get('sweeps') or ()):
        where = f'{path}: sweeps[{number}]'
        _check(where, entry, SWEEP_KEYS, {'name', 'key', 'values'})
        if '{value}' not in entry['name']:
            raise ProtocolError(f'{where}: name must hold {{value}}.')
        for value in entry['values']:
            name = entry['name'].replace('{value}', str(value))
            add(where, entry, name, {**_options(where, entry), entry['key']: value})
    if not methods:
        raise ProtocolError(f'{path} holds neither variants nor sweeps.')
    names = [method.name for method in methods]
    for name in names:
        if names.count(name) > 1:
            raise ProtocolError(f'{path}: several variants are called {name!r}.')
    return methods
