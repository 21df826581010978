"""Unique names for the results of several images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path


def distinct_names(images: Sequence[str]) -> list[str]:
    """Names without suffix, with as many parent folders as needed to be unique.

    Args:
        images: Paths, all different.
    """
    for names in _namings(images):
        # Some file systems ignore case.
        if len({name.lower() for name in names}) == len(names):
            break
    return names


def _namings(images: Sequence[str]) -> Iterator[list[str]]:
    paths = [Path(os.path.abspath(image)) for image in images]
    yield [path.stem for path in paths]
    common = os.path.commonpath([path.parent for path in paths]) if paths else ''
    below = [path.relative_to(common) for path in paths]
    yield [path.with_suffix('').as_posix() for path in below]
    yield [path.as_posix() for path in below]
