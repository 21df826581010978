"""One training at a time in a work folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from mcdrl_common.file_lock import folder_lock

# Not the name of the lock that a plan holds on the folder of a run.
LOCK_NAME = '.training-lock'
# Dataloader workers of a killed training hold the lock until they notice its end.
WAIT_S = 15.0

_held: dict[Path, AbstractContextManager] = {}


def take_work_folder(folder: str | os.PathLike) -> bool:
    """Keep the trainings of other processes out of a work folder.

    The operating system drops the lock when this process ends, however it ends.

    Args:
        folder: The folder; made if it does not exist.

    Returns:
        Whether the lock is new; False if this process already holds it.

    Raises:
        FolderBusyError: Another process trains there.
    """
    path = Path(folder).resolve()
    if path in _held:
        return False
    lock = folder_lock(path, LOCK_NAME, WAIT_S)
    lock.__enter__()
    _held[path] = lock
    return True


def release_work_folder(folder: str | os.PathLike) -> None:
    """Release the lock of :func:`take_work_folder`.

    Args:
        folder: The folder.
    """
    _held.pop(Path(folder).resolve()).__exit__(None, None, None)


@contextmanager
def only_training(folder: str | os.PathLike) -> Iterator[None]:
    """Context that holds a work folder's lock, unless this process already holds it.

    Args:
        folder: The folder.

    Raises:
        FolderBusyError: Another process trains there.
    """
    taken = take_work_folder(folder)
    try:
        yield
    finally:
        if taken:
            release_work_folder(folder)
