"""Hashes of configs and data, so that different runs are never mixed up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# Keys that do not affect the training: paths, how a run was started, how its data and
# config were checked, and settings that only --tta reads.
LOCATION_KEYS = frozenset(
    {
        'work_dir',
        'data_root',
        'cache_dir',
        'launcher',
        'resume',
        'dataset_check',
        'config_check',
        'tta_model',
        'tta_pipeline',
    }
)


def plain(value: Any, ignore: frozenset[str] = frozenset()) -> Any:
    """Convert a config value to JSON data that depends only on its content.

    Args:
        value: Nested mappings, sequences, sets, numbers, strings, classes and
            functions, as in a config.
        ignore: Keys left out of every mapping.

    Returns:
        Dicts, lists, strings, numbers, booleans and None; tuples become lists,
        classes and functions their qualified names.
    """
    if isinstance(value, Mapping):
        return {
            str(key): plain(item, ignore)
            for key, item in value.items()
            if key not in ignore
        }
    if isinstance(value, (list, tuple)):
        return [plain(item, ignore) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item, ignore) for item in value), key=repr)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if hasattr(value, '__qualname__'):
        return f'{value.__module__}.{value.__qualname__}'
    return str(value)


def _digest(data: Any) -> str:
    text = json.dumps(data, sort_keys=True, separators=(',', ':'))
    return hashlib.sha256(text.encode()).hexdigest()


def config_hash(
    config: Mapping[str, Any], ignore: frozenset[str] = LOCATION_KEYS
) -> str:
    """Hash of a config; it does not depend on the order of the keys.

    Args:
        config: The config, as a mapping.
        ignore: Keys left out wherever they occur.

    Returns:
        SHA-256 as 64 hexadecimal digits.
    """
    return _digest(plain(config, ignore))


def differing_keys(
    first: Mapping[str, Any], second: Mapping[str, Any], prefix: str = ''
) -> list[str]:
    """Dotted names of the keys in which two plain configs differ, sorted.

    Args:
        first: A config, converted by :func:`plain`.
        second: The other config.
        prefix: Dotted name of the mapping that contains both, with a final dot.
    """
    names = []
    for key in sorted({*first, *second}):
        a, b = first.get(key), second.get(key)
        if a == b and (key in first) == (key in second):
            continue
        name = f'{prefix}{key}'
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            names += differing_keys(a, b, f'{name}.')
        else:
            names.append(name)
    return names


def data_hash(files: Iterable[tuple[str, int]]) -> str:
    """Hash of a data set from the names and sizes of its files.

    File contents are not read: a held-out site must stay unread until its test.

    Args:
        files: Pairs of a name relative to the data's root and a size in bytes, in
            any order.

    Returns:
        SHA-256 as 64 hexadecimal digits.
    """
    return _digest(sorted([name, size] for name, size in files))


def list_files(root: Path, folders: Iterable[str]) -> list[tuple[str, int]]:
    """List the files in some folders with their sizes, without opening them.

    Args:
        root: Folder that the names are relative to.
        folders: Folders below ``root``; searched to any depth.

    Returns:
        Sorted pairs of a name with forward slashes and a size in bytes.
    """
    found = {}
    for folder in folders:
        for path in (root / folder).rglob('*'):
            if path.is_file():
                found[path.relative_to(root).as_posix()] = path.stat().st_size
    return sorted(found.items())
