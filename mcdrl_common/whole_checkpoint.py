"""Which checkpoint of a folder to go on from."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path


def is_whole(path: str | os.PathLike) -> bool:
    """Whether a file of ``torch.save`` is all there and unchanged.

    Reads the file once and compares the checksums in it.

    Args:
        path: The file, which need not exist.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, EOFError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False


def newest_whole(folder: str | os.PathLike, template: str) -> Path | None:
    """The whole checkpoint of the highest number.

    Args:
        folder: Where they lie.
        template: Their name with ``{}`` in the number's place, as ``epoch_{}.pth``.

    Returns:
        Its path, or None if there is none.
    """
    pattern = re.compile(r'(\d+)'.join(map(re.escape, template.split('{}'))))
    numbered = {
        int(match[1]): path
        for path in Path(folder).iterdir()
        if (match := pattern.fullmatch(path.name))
    }
    by_age = (numbered[number] for number in sorted(numbered, reverse=True))
    return next(filter(is_whole, by_age), None)
