"""The JSON file of per-image records and their summary."""

import json
import os
from pathlib import Path

from .atomic_write import write_text
from .json_files import read_json

KIND = 'mcdrl_mmseg.site_lesion_records'
SCHEMA = 1


def check_records_path(path: str | os.PathLike) -> Path:
    """Refuse a path with a file that is not ours, before anything is computed.

    Args:
        path: Path of the records file.

    Returns:
        The path.

    Raises:
        ValueError: If the path is a folder, or a file that :func:`write_records` did
            not write and that would be lost.
    """
    path = Path(path)
    if path.exists() and _content(path) is None:
        raise ValueError(
            f'records_path={str(path)!r} exists and is not a records file of '
            'SiteLesionMetric; it is left alone. Choose another file'
        )
    return path


def write_records(path: str | os.PathLike, content: dict) -> None:
    """Write records and summary; atomically replaces an earlier evaluation's file.

    Args:
        path: Target file; its folder is made.
        content: JSON-able, without NaN.

    Raises:
        ValueError: As :func:`check_records_path`, or for NaN.
    """
    path = check_records_path(path)
    text = json.dumps(
        {'kind': KIND, 'schema': SCHEMA, **content}, indent=1, allow_nan=False
    )
    write_text(path, text + '\n')


def read_records(path: str | os.PathLike) -> dict:
    """Read a file of :func:`write_records`.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        ValueError: If the file is not one of ours.
    """
    content = _content(path)
    if content is None:
        raise ValueError(f'{path} is not a records file of SiteLesionMetric')
    return content


def _content(path: str | os.PathLike) -> dict | None:
    """Content of a file; None if it is not one of ours."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return None
    is_ours = isinstance(content, dict) and content.get('kind') == KIND
    return content if is_ours else None
