"""The files of a data set as it was downloaded: folders, archives, or both."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from mcdrl_lab.errors import ConversionError

from .archive import Limits, is_archive, unpack

# Images in the last two formats are refused with a clear error; masks in them are read.
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.tif', '.tiff', '.bmp', '.gif', '.webp')
# What macOS leaves in archives.
_JUNK_FOLDER = '__MACOSX'


class FileTree:
    """Files by their path relative to the input, in the order of these paths.

    Args:
        files: Relative path with forward slashes -> the file.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = dict(sorted(files.items()))

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def path(self, name: str) -> Path:
        """Where a file lies.

        Args:
            name: Its relative path.
        """
        return self._files[name]

    def images(self) -> list[str]:
        """Relative paths of the files with an image's ending."""
        return [name for name in self if is_image_name(name)]


def is_image_name(name: str) -> bool:
    """Whether a file name has an image suffix, in upper or lower case."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def ends_with(path: str, end: str) -> bool:
    """Whether a path ends with another path, at a folder boundary.

    Args:
        path: Relative path with forward slashes.
        end: The other path.
    """
    return f'/{path}'.endswith(f'/{end.strip("/")}')


@contextmanager
def open_inputs(
    inputs: Sequence[Path], scratch: Path, limits: Limits
) -> Iterator[FileTree]:
    """Open what the user downloaded.

    Args:
        inputs: Folders and archives of one data set. With several, the relative
            paths begin with the name of the folder or archive.
        scratch: Existing folder for unpacked archives, which are removed at the end.
        limits: What an archive may hold.

    Yields:
        All files.

    Raises:
        ConversionError: An input is missing, of unknown kind, or refused.
    """
    with TemporaryDirectory(dir=scratch, prefix='unpacked-') as unpacked:
        files: dict[str, Path] = {}
        for number, path in enumerate(inputs):
            folder = path
            if not path.is_dir():
                folder = Path(unpacked, str(number))
                folder.mkdir()
                _unpack_file(path, folder, limits)
            prefix = f'{_input_name(path)}/' if len(inputs) > 1 else ''
            found = {prefix + name: file for name, file in _walk(folder)}
            if clash := files.keys() & found.keys():
                raise ConversionError(
                    f'two inputs are called {prefix[:-1]!r} and share '
                    f'{min(clash)!r}: rename one.'
                )
            files.update(found)
        yield FileTree(files)


def _unpack_file(path: Path, folder: Path, limits: Limits) -> None:
    if not path.is_file():
        raise ConversionError(f'{path}: no such folder or archive.')
    if not is_archive(path):
        raise ConversionError(
            f'{path}: neither a folder nor a zip or tar archive. Unpack other archives '
            '(rar, 7z) yourself and give the folder.'
        )
    unpack(path, folder, limits)


def _input_name(path: Path) -> str:
    name = path.resolve().name
    return name if path.is_dir() else name.split('.')[0]


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    """Files below a folder: each linked folder once, hidden files left out."""
    seen = set()
    for where, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(where)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        # Real folders first: a folder that is also linked is read at its own path.
        folders[:] = sorted(
            (f for f in folders if f != _JUNK_FOLDER and f[0] != '.'),
            key=lambda name: (os.path.islink(os.path.join(where, name)), name),
        )
        for file in files:
            path = Path(where, file)
            if file[0] != '.' and path.is_file():
                yield _printable(path.relative_to(folder).as_posix()), path


def _printable(name: str) -> str:
    """A name that can be written into a report, even if it is not valid UTF-8."""
    return name.encode('utf-8', 'backslashreplace').decode()
