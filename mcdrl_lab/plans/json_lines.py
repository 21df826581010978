"""Append-only JSON lines files that survive a kill."""

from __future__ import annotations

import gzip
import os
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from mcdrl_common.json_files import parse_json
from mcdrl_lab.errors import ProtocolError

Record = TypeVar('Record')

# Records compress to about a tenth. A far larger ratio is a decompression bomb.
_MOST_RATIO = 100
_MOST_FREE_BYTES = 2**24


def parse_line(line: bytes) -> Any:
    """Read one line.

    Args:
        line: The line.

    Raises:
        ProtocolError: It is not JSON.
    """
    try:
        return parse_json(line)
    except ValueError as error:
        raise ProtocolError(f'not a JSON record ({error}).') from None


def read_lines(
    path: str | os.PathLike, parse: Callable[[bytes], Record] = parse_line
) -> list[Record]:
    """Read all lines in the order in which they were written.

    A kill during a write leaves a last line without a line end. If this line is
    incomplete, it is skipped with a warning. If it does not start like a record, or is
    complete JSON but no record, it is an error: the file is of another kind.

    Args:
        path: The file; if its name ends in ``.gz``, it is decompressed.
        parse: Parses a line; raises a ``ProtocolError`` if it is not valid.

    Returns:
        The parsed lines; empty for a file that does not exist.

    Raises:
        ProtocolError: Any other line is not valid; names file and line.
    """
    path = Path(path)
    if not path.exists():
        return []
    if not path.is_file():
        raise ProtocolError(f'{path} is not a regular file.')
    content = _unpacked(path) if path.suffix == '.gz' else path.read_bytes()
    lines = content.split(b'\n')
    torn = lines.pop()
    records = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            records.append(parse(line))
        except ProtocolError as error:
            raise ProtocolError(f'{path}, line {number}: {error}') from None
    if torn.strip():
        try:
            records.append(parse(torn))
        except ProtocolError as error:
            if not _is_torn(torn):
                raise ProtocolError(f'{path}, last line: {error}') from None
            warnings.warn(
                f'{path}: the last line is incomplete (its write was interrupted) and '
                'was skipped.',
                stacklevel=3,
            )
    return records


def _is_torn(line: bytes) -> bool:
    """Whether a line may be a partial record, left by a kill or a power failure."""
    if line.strip()[:1] not in (b'', b'{', b'\0'):
        return False
    try:
        parse_line(line)
    except ProtocolError:
        return True
    return False  # complete JSON is no partial record


def _unpacked(path: Path) -> bytes:
    most = max(_MOST_FREE_BYTES, _MOST_RATIO * path.stat().st_size)
    try:
        with gzip.open(path) as file:
            content = file.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ProtocolError(f'{path} is not a complete gzip file: {error}') from None
    if len(content) > most:
        raise ProtocolError(
            f'{path} was not read: it decompresses to more than {_MOST_RATIO} times '
            'its size, which records do not.'
        )
    return content


def append_line(
    path: str | os.PathLike, line: str, parse: Callable[[bytes], Any] = parse_line
) -> None:
    """Append one line and force it to disk.

    Earlier lines are not changed. A partial last line, left by a kill, is removed
    first, since it would damage the new line.

    Args:
        path: The file; created if it does not exist.
        line: The line to append, without line end.
        parse: As for :func:`read_lines`.

    Raises:
        ProtocolError: The file is compressed, or its last line is neither a record nor
            a partial one.
    """
    path = Path(path)
    if path.suffix == '.gz':
        raise ProtocolError(f'{path} is compressed: records cannot be appended to it.')
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f'.{path.name}.lock')), open(path, 'a+b') as file:
        file.seek(0)
        content = file.read()
        whole = content.rfind(b'\n') + 1
        new = line.encode() + b'\n'
        if content[whole:]:
            try:
                parse(content[whole:])
                new = b'\n' + new
            except ProtocolError as error:
                if not _is_torn(content[whole:]):
                    raise ProtocolError(f'{path}, last line: {error}') from None
                file.truncate(whole)
        file.write(new)
        file.flush()
        os.fsync(file.fileno())
