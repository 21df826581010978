"""One attribute that stands for another for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def replaced(owner: object, name: str, value: object) -> Iterator[None]:
    """Put a value in an attribute's place in the block, and the old one back after it.

    Args:
        owner: A module or class.
        name: Of the attribute.
        value: What it is in the block.
    """
    stock = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, stock)
