"""A progress bar in the terminal."""

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
    """Yield items, and show a progress bar on stderr.

    Nothing is shown if stderr is not a terminal. The bar disappears at the end.

    Args:
        items: The items.
        description: Text before the bar.
        total: Number of items, if ``items`` has no length.
        shown: Whether to show the bar.
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
