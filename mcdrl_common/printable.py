"""File names and values as text that can be printed."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence, Set
from typing import Any

_SHOWN_LENGTH = 100


def printable(text: str) -> str:
    """A text with surrogates replaced, which file names may contain but UTF-8 cannot.

    Args:
        text: Any text.
    """
    return text.encode('utf-8', 'replace').decode('utf-8')


class _Short(reprlib.Repr):
    """Shows few items per level, as nested lists may print very long."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxother = _SHOWN_LENGTH

    def repr_int(self, x: int, level: int) -> str:
        """Shorten integers: Python refuses to print more than some thousand digits."""
        return super().repr_int(x, level) if x.bit_length() < 2**12 else 'a huge int'

    def repr_instance(self, x: Any, level: int) -> str:
        """Shorten other containers, which would print all their content."""
        if isinstance(x, Mapping | Sequence | Set) and not isinstance(x, bytes):
            return f'{type(x).__name__} of {len(x)}'
        return super().repr_instance(x, level)


def short_repr(value: Any) -> str:
    """A value for a message, shortened if it is long, deep or wide.

    Args:
        value: A value of any type. It may come from an untrusted file and contain
            itself.
    """
    text = _Short().repr(value)
    return text if len(text) <= _SHOWN_LENGTH else f'{text[:_SHOWN_LENGTH]}...'
