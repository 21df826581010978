"""Names for the converted files: unique and reproducible."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from pathlib import PurePosixPath

_DIGEST = 8


def unique_names(wanted: Mapping[str, str]) -> dict[str, str]:
    """Give every file a unique name.

    Names that are equal, ignoring case, get the names of their parent folders in front,
    as few as are needed. If this does not help, a digest of the path is appended. The
    order of the files does not matter.

    Args:
        wanted: Path of each file relative to the input -> name wanted for it,
            without ending.

    Returns:
        Path -> name without ending, of letters, digits, dots, dashes and underscores.
    """
    names = {path: clean(name) for path, name in wanted.items()}
    for group in _colliding(names):
        names.update(_with_folders({path: names[path] for path in group}))
    for group in _colliding(names):
        names.update({path: _with_digest(names[path], path) for path in group})
    return names


def clean(name: str) -> str:
    """Replace characters that cause problems in file names, above all spaces.

    Args:
        name: Any text.
    """
    name = re.sub(r'[^\w.-]+', '_', unicodedata.normalize('NFC', name))
    return name.lstrip('.-') or 'image'


def _colliding(names: Mapping[str, str]) -> list[list[str]]:
    groups = defaultdict(list)
    for path, name in names.items():
        groups[name.casefold()].append(path)
    return [group for group in groups.values() if len(group) > 1]


def _with_folders(names: Mapping[str, str]) -> dict[str, str]:
    folders = {path: PurePosixPath(path).parent.parts for path in names}
    for count in range(1, max(map(len, folders.values())) + 1):
        longer = {
            path: clean('_'.join((*folders[path][-count:], name)))
            for path, name in names.items()
        }
        if not _colliding(longer):
            return longer
    return {path: _with_digest(name, path) for path, name in names.items()}


def _with_digest(name: str, path: str) -> str:
    return f'{name}-{hashlib.sha256(path.encode()).hexdigest()[:_DIGEST]}'
