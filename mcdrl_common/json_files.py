"""JSON that may be untrusted, or damaged: one kind of error for all that is odd."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any, TypeGuard

# The largest float has 309.
_MAX_DIGITS = 309
_HALF_OF_A_PAIR = re.compile('[\ud800-\udfff]')


def parse_json(content: bytes | str) -> Any:
    """Read JSON as far as a program can use it.

    Args:
        content: The text; bytes are UTF-8.

    Raises:
        ValueError: Not UTF-8, not JSON, nested without end, or an integer that no
            float can hold.
    """
    text = content.decode('utf-8') if isinstance(content, bytes) else content
    try:
        return json.loads(text, parse_int=_integer)
    except RecursionError:
        raise ValueError('nested without end') from None


def _integer(digits: str) -> int:
    if len(digits.removeprefix('-')) >= _MAX_DIGITS:
        raise ValueError(f'an integer of {len(digits.removeprefix("-"))} digits')
    return int(digits)


def read_json(path: str | os.PathLike) -> Any:
    """Read a JSON file.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: There is none.
        OSError: It cannot be read.
        ValueError: See :func:`parse_json`, or not a regular file: a pipe would be
            waited for without end. Names the file.
    """
    path = Path(path)
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f'{path}: not a regular file')
    try:
        return parse_json(path.read_bytes())
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a JSON number; to Python a bool is one too."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def as_json(values: Any) -> str:
    """One line of strict JSON, in which letters are themselves.

    What is no text in a string (bytes of a file name that are no UTF-8, as Python
    holds them) is escaped, and read again as it was.

    Args:
        values: Of JSON's types; no NaN.
    """
    text = json.dumps(values, allow_nan=False, ensure_ascii=False)
    return _HALF_OF_A_PAIR.sub(lambda found: f'\\u{ord(found[0]):04x}', text)
