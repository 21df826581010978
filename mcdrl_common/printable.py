"""Names of files, and values of files, as text that can be printed."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence, Set
from typing import Any

_SHOWN_LENGTH = 100


def printable(text: str) -> str:
    """A text without what a file name may hold and UTF-8 cannot.

    Args:
        text: Any text.
    """
    return text.encode('utf-8', 'replace').decode('utf-8')


class _Short(reprlib.Repr):
    """Of a few items a level: lists of lists may be small and print without end."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxother = _SHOWN_LENGTH

    def repr_int(self, x: int, level: int) -> str:
        """Python prints no integer of more than some thousand digits."""
        return super().repr_int(x, level) if x.bit_length() < 2**12 else 'a huge int'

    def repr_instance(self, x: Any, level: int) -> str:
        """Other containers print all that is in them."""
        if isinstance(x, Mapping | Sequence | Set) and not isinstance(x, bytes):
            return f'{type(x).__name__} of {len(x)}'
        return super().repr_instance(x, level)


def short_repr(value: Any) -> str:
    """A value for a message, cut where it is long, deep or wide.

    Args:
        value: Of any type; of an untrusted file, in which a list may hold itself.
    """
    text = _Short().repr(value)
    return text if len(text) <= _SHOWN_LENGTH else f'{text[:_SHOWN_LENGTH]}...'
