"""Whether a checkpoint is whole, and which of a folder to go on from."""

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
        return damaged_member(path) is None
    except (OSError, EOFError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False


def damaged_member(path: str | os.PathLike) -> str | None:
    """The first part of a zip file that is not what was written.

    Args:
        path: A file that ``zipfile`` can open. Those of ``torch.save`` hold a checksum
            of each part; torch itself does not compare them.

    Returns:
        Name of the part, or None if all are whole.

    Raises:
        ValueError: A part is compressed, which torch never does: it may be a bomb. Or
            see :func:`check_sizes`.
    """
    with zipfile.ZipFile(path) as archive:
        check_sizes(archive, path)
        for info in archive.infolist():
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f'{info.filename} in it is compressed')
        return archive.testzip()


def check_sizes(archive: zipfile.ZipFile, path: str | os.PathLike) -> None:
    """Refuse a zip file whose parts lie over each other: read, they are far more.

    Args:
        archive: The zip file.
        path: Its path.

    Raises:
        ValueError: The parts are larger together than the file.
    """
    parts = sum(info.compress_size for info in archive.infolist())
    if parts > os.path.getsize(path):
        raise ValueError(f'the parts in it are {parts} bytes, more than the file')


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
