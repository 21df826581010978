"""Reading of annotation files in JSON, whose content may be malformed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mcdrl_common.json_files import parse_json
from mcdrl_lab.errors import ConversionError

from .input_files import FileTree


def load(tree: FileTree, name: str) -> Any:
    """Read a JSON file.

    Args:
        tree: All files.
        name: Its path relative to the input.

    Raises:
        ValueError: Not JSON in UTF-8, see :func:`~mcdrl_common.json_files.parse_json`.
    """
    return parse_json(tree.path(name).read_text('utf-8-sig'))


@contextmanager
def as_published(name: str) -> Iterator[None]:
    """Raise an error that names the file if its entries are not as expected.

    Args:
        name: The file, relative to the input.

    Raises:
        ConversionError: An entry is missing or of another type, or the file is
            not JSON.
    """
    try:
        yield
    except ConversionError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError) as e:
        raise ConversionError(
            f'{name}: not in the expected form: {type(e).__name__}: {e}.'
        ) from None
