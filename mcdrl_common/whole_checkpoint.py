"""Whether a checkpoint is whole, and which of a folder to go on from."""

from __future__ import annotations

import os
import re
import struct
import zipfile
from pathlib import Path

# Of a zip file's end: its records, and the longest comment behind them.
_END, _END64, _LOCATOR = b'PK\5\6', b'PK\6\6', b'PK\6\7'
_END_BYTES, _END64_BYTES, _LOCATOR_BYTES = 22, 56, 20
_LONGEST_COMMENT = 2**16 - 1


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
        ValueError: The parts are larger together than the file, or see
            :func:`_check_one_directory`.
    """
    _check_one_directory(path)
    parts = sum(info.compress_size for info in archive.infolist())
    if parts > os.path.getsize(path):
        raise ValueError(f'the parts in it are {parts} bytes, more than the file')


def _check_one_directory(path: str | os.PathLike) -> None:
    """Refuse a zip file in which torch may find other parts than ``zipfile`` does.

    Where the list of parts lies is said in up to three places, of which readers take
    different ones: what is looked at here must be what torch reads afterwards.

    Args:
        path: The zip file.

    Raises:
        ValueError: The list does not lie where all places say, right before the end.
    """
    with open(path, 'rb') as file:
        size = file.seek(0, os.SEEK_END)
        longest = _LONGEST_COMMENT + _END_BYTES + _LOCATOR_BYTES + _END64_BYTES
        start = file.seek(max(0, size - longest))
        tail = file.read()
    end = tail.rfind(_END)
    try:
        length, offset = struct.unpack_from('<2L', tail, end + 12)
        locator, record = end - _LOCATOR_BYTES, end - _LOCATOR_BYTES - _END64_BYTES
        if locator >= 0 and tail.startswith(_LOCATOR, locator):
            (said,) = struct.unpack_from('<Q', tail, locator + 8)
            if said != start + record or not tail.startswith(_END64, record):
                raise ValueError('it has two ends')
            length, offset = struct.unpack_from('<2Q', tail, record + 40)
            end = record
    except struct.error:
        raise ValueError('its end is cut') from None
    if offset + length != start + end:
        raise ValueError('its list of parts is not where it is said to be')


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
