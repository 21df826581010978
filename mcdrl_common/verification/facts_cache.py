"""Cache of facts of files that have not changed since they were read."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mcdrl_common.atomic_write import write_text
from mcdrl_common.json_files import read_json

from .facts import FACTS_VERSION, Facts

Stamp = tuple[int, int]
"""Size in bytes and modification time in nanoseconds."""


def stamp(path: Path) -> Stamp | None:
    """Size and modification time of a file; None if it does not exist.

    Args:
        path: The file.
    """
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


class FactsCache:
    """One JSON file for every folder of images or masks.

    Like git, it takes a file with the same size and modification time as unchanged. A
    cache file that is absent, has another version or layout, or does not match its
    digest is ignored.

    Args:
        folder: Folder of the cache files; None caches nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def read(self, layouts: Mapping[Path, Callable[[Any], bool]]) -> dict[Path, Facts]:
        """Facts of the files that have not changed.

        Args:
            layouts: Image or mask file -> whether a value has the layout of its facts.
        """
        if self.folder is None:
            return {}
        known = {}
        for parent, files in _by_parent(layouts).items():
            kept = self._read_file(parent)
            for path in files:
                found = kept.get(path.name)
                # No type check needed: a list of numbers only equals another one.
                if (
                    isinstance(found, dict)
                    and found.get('stamp') == list(stamp(path) or ())
                    and layouts[path](found.get('facts'))
                ):
                    known[path] = found['facts']
        return known

    def write(self, facts: Mapping[Path, tuple[Stamp, Facts]]) -> None:
        """Add facts; facts of other files are kept.

        Args:
            facts: File -> its stamp, taken before it was read, and its facts.

        Raises:
            OSError: The cache cannot be written.
        """
        if self.folder is None:
            return
        for parent, files in _by_parent(facts).items():
            kept = self._read_file(parent)
            for path in files:
                before, found = facts[path]
                kept[path.name] = {'stamp': list(before), 'facts': found}
            content = {
                'version': FACTS_VERSION,
                'folder': str(parent),
                'digest': _digest(kept),
                'files': kept,
            }
            write_text(self._file(parent), json.dumps(content))

    def _file(self, parent: Path) -> Path:
        assert self.folder is not None
        digest = hashlib.sha256(str(parent.resolve()).encode()).hexdigest()
        return self.folder / f'file_facts_{digest[:32]}.json'

    def _read_file(self, parent: Path) -> dict[str, Any]:
        try:
            content = read_json(self._file(parent))
            files = content['files']
            same = content['digest'] == _digest(files)
            usable = same and content['version'] == FACTS_VERSION
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return files if usable and isinstance(files, dict) else {}


def _digest(files: Any) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def _by_parent(paths: Iterable[Path]) -> dict[Path, list[Path]]:
    groups: dict[Path, list[Path]] = defaultdict(list)
    for path in paths:
        groups[path.parent].append(path)
    return groups
