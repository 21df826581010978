"""Files that are either whole or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Write a file under another name first and move it into place when whole.

    Args:
        path: The file to write; its folder is made if it does not exist.

    Yields:
        Path of an empty file in the same folder, with the same ending.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(path.suffix, f'.{path.stem}-', path.parent)
    os.close(handle)
    try:
        yield Path(name)
        # mkstemp lets nobody else read; results are for everybody the umask lets.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file in one step.

    Args:
        path: The file.
        text: Its content.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding='utf-8')
