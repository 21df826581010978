"""Finds the config entry that led to a refused request."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

MIN_VALUE_LENGTH = 3
"""Shorter values occur in too many paths by chance to count as the cause."""


def is_value(config: Mapping, path: Any) -> bool:
    """Whether a value of the config is this path."""
    place = os.path.realpath(os.fsdecode(path))
    return any(
        os.sep in value and os.path.realpath(os.path.expanduser(value)) == place
        for _, value in strings(config)
    )


def is_named_in(config: Mapping, name: str) -> bool:
    """Whether a value of the config names this module or something in it."""
    return any(
        value == name or value.startswith(f'{name}.') for _, value in strings(config)
    )


def strings(value: Any, place: str = '') -> Iterator[tuple[str, str]]:
    """Every string of a config, with its full key."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from strings(item, f'{place}.{key}' if place else str(key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from strings(item, f'{place}[{number}]')


def entry_of_request(config: Mapping, what: str, frame: FrameType | None) -> str:
    """Key and value that led to a request, or else the component that made it.

    Args:
        config: The config that is being built.
        what: The requested path, name or URL.
        frame: Frame of the request.
    """
    found = list(strings(config))
    for fits in (
        lambda value: value == what,
        lambda value: value.startswith(f'{what}.') or what.endswith(value),
        lambda value: value in what or (what in value and bool(what)),
    ):
        for place, value in found:
            if len(value) >= MIN_VALUE_LENGTH and fits(value):
                return f'{place}={value!r}'
    kind = _type_being_built(frame)
    for place, value in found:
        if value == kind and place.endswith('type'):
            return f'{place}={value!r}'
    return f'a component ({kind})'


def _type_being_built(frame: FrameType | None) -> Any:
    """The ``type`` that a registry was building at the time of the request."""
    while frame is not None:
        if frame.f_code.co_name == 'build_from_cfg':
            cfg = frame.f_locals.get('cfg')
            return cfg.get('type') if isinstance(cfg, Mapping) else None
        frame = frame.f_back
    return None
