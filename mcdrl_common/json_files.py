"""Reads JSON that may be untrusted or damaged, with one kind of error."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any, TypeGuard

# The largest float has 309 digits.
_MAX_DIGITS = 309
_HALF_OF_A_PAIR = re.compile('[\ud800-\udfff]')


def parse_json(content: bytes | str) -> Any:
    """Parse JSON, and refuse values that programs cannot handle.

    Args:
        content: The text; bytes are UTF-8.

    Raises:
        ValueError: Not UTF-8, not JSON, nested too deeply, or an integer beyond the
            range of float.
    """
    text = content.decode('utf-8') if isinstance(content, bytes) else content
    try:
        return json.loads(text, parse_int=_integer)
    except RecursionError:
        raise ValueError('nested too deeply') from None


def _integer(digits: str) -> int:
    if len(digits.removeprefix('-')) >= _MAX_DIGITS:
        raise ValueError(
            f'an integer of {len(digits.removeprefix("-"))} digits is too large'
        )
    return int(digits)


def read_json(path: str | os.PathLike) -> Any:
    """Read a JSON file.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: No such file.
        OSError: It cannot be read.
        ValueError: See :func:`parse_json`; or not a regular file, as reading a pipe
            could block forever. The message names the file.
    """
    path = Path(path)
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f'{path}: not a regular file')
    try:
        return parse_json(path.read_bytes())
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a JSON number; in Python a bool would count as one."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def as_json(values: Any) -> str:
    """Format values as one line of strict JSON, without escaping letters.

    Surrogates, by which Python stores bytes of file names that are not UTF-8, are
    escaped and survive a round trip.

    Args:
        values: Values of JSON's types, without NaN.
    """
    text = json.dumps(values, allow_nan=False, ensure_ascii=False)
    return _HALF_OF_A_PAIR.sub(lambda found: f'\\u{ord(found[0]):04x}', text)
