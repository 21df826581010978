"""Names of files as text that can be printed."""

from __future__ import annotations


def printable(text: str) -> str:
    """A text without what a file name may hold and UTF-8 cannot.

    Args:
        text: Any text.
    """
    return text.encode('utf-8', 'replace').decode('utf-8')
