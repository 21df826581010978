"""Files of JSON lines that are only ever appended to, and survive a kill."""

from __future__ import annotations

import gzip
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from mcdrl_lab.errors import ProtocolError

Record = TypeVar('Record')


def parse_line(line: bytes) -> Any:
    """Read one line.

    Args:
        line: The line.

    Raises:
        ProtocolError: It is not JSON.
    """
    try:
        return json.loads(line.decode('utf-8'))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ProtocolError(f'not a JSON record ({error}).') from None


def read_lines(
    path: str | os.PathLike, parse: Callable[[bytes], Record] = parse_line
) -> list[Record]:
    """Read all lines in the order in which they were written.

    A last line without line end is what a kill in the middle of writing leaves;
    unless it is whole it is left out with a warning.

    Args:
        path: The file; one whose name ends in ``.gz`` is decompressed.
        parse: Reads a line and raises a ``ProtocolError`` if it is not valid.

    Returns:
        What ``parse`` made of the lines; empty for a file that does not exist.

    Raises:
        ProtocolError: Any other line is not valid; names file and line.
    """
    path = Path(path)
    if not path.exists():
        return []
    content = path.read_bytes()
    if path.suffix == '.gz':
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise ProtocolError(f'{path} is not a whole gzip file: {error}') from None
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
        except ProtocolError:
            warnings.warn(
                f'{path}: the last line is cut short (a killed write) and was '
                'left out.',
                stacklevel=3,
            )
    return records


def append_line(
    path: str | os.PathLike, line: str, parse: Callable[[bytes], Any] = parse_line
) -> None:
    """Append one line and force it to disk.

    Earlier lines stay byte for byte. What a kill left of a half-written last line
    is cut off first, since it would spoil the new line.

    Args:
        path: The file; made if it does not exist.
        line: What to append, without line end.
        parse: As of :func:`read_lines`.

    Raises:
        ProtocolError: The file is compressed.
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
            except ProtocolError:
                file.truncate(whole)
        file.write(new)
        file.flush()
        os.fsync(file.fileno())
