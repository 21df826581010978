"""Example images that the page offers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mcdrl_common.printable import printable
from mcdrl_lab.pictures import jpeg, shrink

from .uploads import SUFFIXES, UploadError, read_upload

MAX_EXAMPLES = 24
_THUMBNAIL_SIDE = 192


@dataclass(frozen=True)
class Example:
    """An image of the examples' folder.

    Attributes:
        name: Its file name, made encodable in UTF-8.
        content: The bytes of the file.
        thumbnail: A small JPEG of it.
    """

    name: str
    content: bytes
    thumbnail: bytes


def load_examples(
    folder: str | os.PathLike, max_bytes: int
) -> tuple[list[Example], list[str]]:
    """Read the first images of a folder, in the order of their names.

    They are held in memory, so that no request opens a file.

    Args:
        folder: The folder; subfolders are not searched.
        max_bytes: Larger files are left out, as they could not be uploaded either.

    Returns:
        At most :data:`MAX_EXAMPLES` examples, and a line for each file left out.

    Raises:
        UploadError: The folder does not exist or has no usable image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UploadError(f'--examples {folder}: no such folder.')
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    examples: list[Example] = []
    skipped = []
    for path in paths:
        if len(examples) == MAX_EXAMPLES:
            skipped.append(
                f'Only the first {MAX_EXAMPLES} of {len(paths)} images are offered.'
            )
            break
        try:
            examples.append(_load(path, max_bytes))
        except (UploadError, OSError) as error:
            skipped.append(f'Skipped {path}: {error}')
    if not examples:
        raise UploadError(
            '\n'.join(
                [
                    f'--examples {folder}: no image in it can be used; expected '
                    f'{", ".join(SUFFIXES)}.',
                    *skipped,
                ]
            )
        )
    return examples, skipped


def _load(path: Path, max_bytes: int) -> Example:
    # Reading a pipe or a device might never end.
    if not path.is_file():
        raise UploadError('not a regular file.')
    if path.stat().st_size > max_bytes:
        raise UploadError(
            f'{path.stat().st_size / 1e6:.1f} MB, more than --max-upload-mb.'
        )
    content = path.read_bytes()
    thumbnail = jpeg(shrink(read_upload(content), _THUMBNAIL_SIDE))
    return Example(printable(path.name), content, thumbnail)
