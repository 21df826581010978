"""Runs work on rank 0; a failure is raised on every rank, so none waits forever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mmengine.dist import broadcast_object_list, get_rank

Outcome = TypeVar('Outcome')


def on_main_process(
    compute: Callable[[], Outcome], error: type[Exception]
) -> Outcome | None:
    """Run a function on rank 0; a failure there is raised on every rank.

    Args:
        compute: The function.
        error: Error class that the other ranks raise if it fails.

    Returns:
        The result on rank 0. Other ranks get the result if it is a string, else None.
    """
    outcome: Outcome | None = None
    failure: Exception | None = None
    if get_rank() == 0:
        try:
            outcome = compute()
        except Exception as caught:
            failure = caught
    shared = outcome if isinstance(outcome, str) else None
    message: list[Any] = [str(failure) if failure else None, shared]
    broadcast_object_list(message)
    if failure is not None:
        raise failure
    if message[0] is not None:
        raise error(f'Rank 0 failed: {message[0]}')
    return outcome if outcome is not None else message[1]
