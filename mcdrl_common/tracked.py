"""A bar in the terminal for what takes a while."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar('Item')


def tracked(
    items: Iterable[Item],
    description: str,
    total: int | None = None,
    shown: bool = True,
) -> Iterable[Item]:
    """Pass items on one by one, and show on stderr how many are done.

    Nothing is shown where stderr is no terminal, and nothing is left there at the end.

    Args:
        items: What is passed on.
        description: What stands before the bar.
        total: Number of items, where they do not say it themselves.
        shown: Whether it is worth a bar.
    """
    console = Console(stderr=True)
    return track(
        items,
        description,
        total=total,
        console=console,
        transient=True,
        disable=not shown or not console.is_terminal,
    )
