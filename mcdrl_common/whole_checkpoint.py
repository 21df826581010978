"""Checks that a checkpoint is intact, and finds the newest intact one of a folder."""

from __future__ import annotations

import os
import re
import struct
import zipfile
from pathlib import Path

# Signatures and sizes of the records at the end of a zip file.
_END, _END64, _LOCATOR = b'PK\5\6', b'PK\6\6', b'PK\6\7'
_END_BYTES, _END64_BYTES, _LOCATOR_BYTES = 22, 56, 20
_LONGEST_COMMENT = 2**16 - 1


def is_whole(path: str | os.PathLike) -> bool:
    """Whether a file of ``torch.save`` is complete and unchanged.

    Reads the file once and verifies its checksums.

    Args:
        path: The file, which need not exist.
    """
    try:
        return damaged_member(path) is None
    except (OSError, EOFError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False


def damaged_member(path: str | os.PathLike) -> str | None:
    """The first part of a zip file that does not match its checksum.

    Args:
        path: A file that ``zipfile`` can open. Files of ``torch.save`` have a checksum
            for each part, which torch itself does not verify.

    Returns:
        Name of the part, or None if all are intact.

    Raises:
        ValueError: A part is compressed, which torch never does: it may be a zip bomb.
            See also :func:`check_sizes`.
    """
    with zipfile.ZipFile(path) as archive:
        check_sizes(archive, path)
        for info in archive.infolist():
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f'its part {info.filename} is compressed')
        return archive.testzip()


def check_sizes(archive: zipfile.ZipFile, path: str | os.PathLike) -> None:
    """Refuse a zip file with overlapping parts, which may be a zip bomb.

    Args:
        archive: The zip file.
        path: Its path.

    Raises:
        ValueError: The parts together are larger than the file. See also
            :func:`_check_one_directory`.
    """
    _check_one_directory(path)
    parts = sum(info.compress_size for info in archive.infolist())
    if parts > os.path.getsize(path):
        raise ValueError(f'its parts have {parts} bytes, more than the file')


def _check_one_directory(path: str | os.PathLike) -> None:
    """Refuse a zip file in which torch may find other parts than ``zipfile`` does.

    Up to three records give the position of the list of parts (central directory), and
    readers use different ones. The parts checked here must be those that torch reads.

    Args:
        path: The zip file.

    Raises:
        ValueError: The records disagree, or the list is not right before the end.
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
                raise ValueError('its end records disagree')
            length, offset = struct.unpack_from('<2Q', tail, record + 40)
            end = record
    except struct.error:
        raise ValueError('its end is cut off') from None
    if offset + length != start + end:
        raise ValueError('its list of parts is not at the recorded position')


def name_pattern(template: str) -> re.Pattern[str]:
    """Pattern of the names that MMEngine's ``CheckpointHook`` makes of a template.

    Args:
        template: ``filename_tmpl``, with ``{}`` for the number, as ``epoch_{}.pth``.
    """
    return re.compile(r'(\d+)'.join(map(re.escape, template.split('{}'))))


def newest_whole(folder: str | os.PathLike, template: str) -> Path | None:
    """The intact checkpoint with the highest number.

    Args:
        folder: Folder of the checkpoints.
        template: Their name with ``{}`` for the number, as ``epoch_{}.pth``.

    Returns:
        Its path, or None if there is none.
    """
    pattern = name_pattern(template)
    numbered = {
        int(match[1]): path
        for path in Path(folder).iterdir()
        if (match := pattern.fullmatch(path.name))
    }
    by_age = (numbered[number] for number in sorted(numbered, reverse=True))
    return next(filter(is_whole, by_age), None)
