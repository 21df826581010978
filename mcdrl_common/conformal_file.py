"""The JSON file of a threshold with a guarantee."""

from __future__ import annotations

import json
import os
from pathlib import Path

from .atomic_write import write_text
from .json_files import read_json

KIND = 'mcdrl.conformal_threshold'


def check_replaceable(path: str | os.PathLike) -> None:
    """Refuse to replace a file that is not one of ours.

    Args:
        path: Where to write.

    Raises:
        ValueError: Something else is there.
    """
    path = Path(path)
    if path.exists() and (_content(path) or {}).get('kind') != KIND:
        raise ValueError(f'{path} is there and holds no threshold: name another file.')


def write_conformal(path: str | os.PathLike, content: dict) -> None:
    """Write a threshold and what it promises.

    Args:
        path: Target file.
        content: ``threshold``, ``level``, ``risk``, ``method``, ``sites``, ``seeds``.

    Raises:
        ValueError: See :func:`check_replaceable`.
    """
    check_replaceable(path)
    write_text(path, json.dumps({'kind': KIND, **content}, indent=1) + '\n')


def read_conformal(path: str | os.PathLike) -> dict:
    """Read a file of :func:`write_conformal`.

    Args:
        path: The file.

    Returns:
        Its content; ``threshold`` and ``level`` are numbers in [0, 1].

    Raises:
        ValueError: It is not such a file.
    """
    path = Path(path)
    content = _content(path) or {}
    numbers = [content.get(name) for name in ('threshold', 'level')]
    if content.get('kind') != KIND or not all(map(_is_share, numbers)):
        raise ValueError(
            f'{path} holds no threshold with a guarantee: make it by python -m '
            'mcdrl_lab conformal RECORDS --level LEVEL --out FILE'
        )
    return content


def _is_share(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= 1


def _content(path: Path) -> dict | None:
    try:
        content = read_json(path)
        # Results repeat it, as strict JSON.
        json.dumps(content, allow_nan=False)
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
