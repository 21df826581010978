"""Existing result files: which ones were written by us, and errors about them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mcdrl_common import InputError

_LIST = '.mcdrl_written.sha256'
_COMMENT = '# made of '
_SHOWN = 5


class OutputError(InputError, RuntimeError):
    """A result that cannot be written; the message names the file."""

    @property
    def name_too_long(self) -> bool:
        """Whether the input's name is too long, so that other inputs can continue."""
        return getattr(self.__cause__, 'errno', None) == errno.ENAMETOOLONG


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Context that turns disk errors into an OutputError with the result's name.

    Args:
        path: The result that is being written.

    Raises:
        OutputError: The disk is full, read-only, ...
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f'{path}: could not be written: {reason}.') from error


class WrittenFiles:
    """The list of files that were written into a folder, with their SHA-256.

    The list is a file in the folder, in the format of ``sha256sum -c``. A line is added
    with each result, so that a killed run leaves no unlisted result. A comment above
    the line may name what the result was made of, with paths absolute and relative to
    the folder.

    Args:
        folder: Folder of the results.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, path: Path, made_of: Sequence[str] = ()) -> None:
        """Add a file that has been written.

        Args:
            path: The file, below the folder.
            made_of: See :func:`check_renewable`.
        """
        name = path.relative_to(self.folder).as_posix()
        line = f'{_digest(path)}  {name}'
        if '\n' in name:
            # sha256sum's format for such names.
            line = '\\' + line.replace('\\', r'\\').replace('\n', r'\n')
        if made_of:
            noted = [self._noted(each) for each in made_of]
            line = f'{_COMMENT}{json.dumps(noted)}\n{line}'
        _check_regular(self.folder / _LIST)
        with open(self.folder / _LIST, 'ab', opener=_no_link) as file:
            file.write(line.encode('utf-8', 'surrogateescape') + b'\n')

    def others(self, targets: Iterable[Path]) -> list[Path]:
        """Files that were not written by us, or were changed since.

        Args:
            targets: Existing files below the folder.
        """
        # Any listed digest counts: with two commands at once, the first to write a file
        # may be the last to list it.
        known = {
            (line[66:], line[:64])
            for line in map(_plain, self._lines())
            if not line.startswith(_COMMENT)
        }
        return [
            path
            for path in targets
            if (path.relative_to(self.folder).as_posix(), _digest(path)) not in known
        ]

    def made_of(self, path: Path) -> tuple[str, ...]:
        """What a file was last made of, according to the list; empty if not listed.

        Args:
            path: The file, below the folder.
        """
        name = path.relative_to(self.folder).as_posix()
        found, comment = '[]', '[]'
        for line in map(_plain, self._lines()):
            if line.startswith(_COMMENT):
                comment = line.removeprefix(_COMMENT)
                continue
            if line[66:] == name:
                found = comment
            comment = '[]'
        try:
            return tuple(map(self._told, json.loads(found)))
        except (ValueError, TypeError, RecursionError):
            return ()

    def _noted(self, each: str) -> str | list[str]:
        # Relative as well: folders may be moved and copied with their results.
        if not os.path.isabs(each):
            return each
        try:
            return [each, os.path.relpath(each, self.folder.resolve())]
        except ValueError:  # another drive on Windows
            return each

    def _told(self, noted: str | list[str]) -> str:
        if not isinstance(noted, list):
            return str(noted)
        place, from_here = map(str, noted)
        moved = os.path.normpath(self.folder.resolve() / from_here)
        return moved if not os.path.exists(place) and os.path.exists(moved) else place

    def _lines(self) -> list[str]:
        path = self.folder / _LIST
        _check_regular(path)
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            # Raised before anything is replaced: new results could not be listed.
            raise OutputError(
                f'{path}: no permission to read and write this list of the results '
                'here; perhaps another user made it. Choose another --out, or ask its '
                'owner for permission.'
            )
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            content = b''
        # Not splitlines, which also splits at other characters that names may contain.
        return content.decode('utf-8', 'surrogateescape').split('\n')


def _plain(line: str) -> str:
    """A line with escaped line breaks in its file name restored."""
    if not line.startswith('\\'):
        return line
    return re.sub(r'\\(.)', lambda m: '\n' if m[1] == 'n' else m[1], line[1:])


def check_targets(
    folder: Path, targets: Iterable[Path], inputs: Iterable[Path], overwrite: bool
) -> None:
    """Refuse to replace an input, or a file not written by an earlier run.

    Args:
        folder: Folder of the results.
        targets: Files, or folders of frames, that may be written.
        inputs: Files that are read.
        overwrite: Whether results of an earlier run may be replaced.

    Raises:
        OutputError: A target exists and must not be replaced, or the folder is not
            readable or writable.
    """
    check_place(folder)
    with output_errors(folder):
        _check_targets(folder, targets, inputs, overwrite)


def check_renewable(
    targets: Sequence[Path],
    inputs: Iterable[Path],
    made_of: Sequence[str],
    overwrite: bool,
) -> None:
    """Refuse to replace a result that was made from other inputs.

    A result is renewed without ``overwrite`` if everything that it was made of is still
    among ``made_of``, as with a plan that has grown.

    Args:
        targets: Files of one folder that may be written.
        inputs: Files that are read.
        made_of: Name of the command and everything that distinguishes its results; pass
            the same to :meth:`WrittenFiles.add`.
        overwrite: Whether a result of this package that was made of something else may
            be replaced.

    Raises:
        OutputError: A target exists and must not be replaced.
    """
    folder = targets[0].parent
    for target in targets:
        if target.is_dir():
            raise OutputError(f'{target} is a folder. Choose a file with --out.')
    check_targets(folder, targets, inputs, overwrite=True)
    for target in targets:
        if target.exists() and not overwrite:
            if not WrittenFiles(folder).made_of(target):
                raise _in_the_way(target, ['something else'])
            check_noted(target, made_of)


def check_noted(target: Path, made_of: Sequence[str]) -> None:
    """Refuse to replace a result that is listed as made of something else.

    Args:
        target: A file that may be written; if it exists, it is one of the command's
            results.
        made_of: See :func:`check_renewable`.

    Raises:
        OutputError: It exists and was made of something else.
    """
    former = WrittenFiles(target.parent).made_of(target)
    others = [each for each in former if each not in made_of]
    if target.exists() and others:
        raise _in_the_way(target, others)


def _in_the_way(target: Path, others: Sequence[str]) -> OutputError:
    return OutputError(
        f'results of an earlier run are in the way: {target} was made with '
        f'{_named(others)}. Choose another --out, or replace them with --overwrite.'
    )


def places(*paths: str | os.PathLike) -> list[str]:
    """Absolute paths, for ``made_of``.

    Args:
        *paths: Files or folders.
    """
    return [str(Path(path).resolve()) for path in paths]


def check_place(path: Path) -> None:
    """Refuse a path that cannot be written, before anything is computed.

    Args:
        path: A file or folder to write, which need not exist.

    Raises:
        OutputError: A parent folder is a file, or is not writable.
    """
    with output_errors(path):
        folder = path if path.is_dir() else path.absolute().parent
        while not folder.exists():
            folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        why = 'is not writable' if folder.is_dir() else 'is not a folder'
        raise OutputError(
            f'{path}: could not be written: {folder} {why}. Choose another place.'
        )


def _check_targets(
    folder: Path, targets: Iterable[Path], inputs: Iterable[Path], overwrite: bool
) -> None:
    # Not os.path.lexists, which is False in a folder without read permission.
    there = [
        target
        for target in dict.fromkeys(targets)
        if target.exists() or target.is_symlink()
    ]
    files: list[Path] = []
    for target in there:
        frames = sorted(target.glob('*.png')) if target.is_dir() else [target]
        files += frames
    for place in (*there, *files):
        if not place.is_dir() or place.is_symlink():
            _check_regular(place)
    read = {path.resolve() for path in inputs}
    if own := [path for path in files if path.resolve() in read]:
        raise OutputError(
            f'{_named(own)}: an input; results never replace inputs. Choose another '
            '--out.'
        )
    if others := WrittenFiles(folder).others(files):
        raise OutputError(
            f'in the way: {_named(others)}, not written here by an earlier run, or '
            'changed since. Such files are never replaced. Choose another --out.'
        )
    if there and not overwrite:
        raise OutputError(
            f'results of an earlier run are in the way: {_named(there)}. Choose '
            'another --out, or replace them with --overwrite.'
        )


def _check_regular(path: Path) -> None:
    """Refuse links, which point elsewhere, and pipes, which never end."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise OutputError(
            f'{path}: in the way: not a regular file (a link, pipe, ...). Remove it, '
            'or choose another --out.'
        )


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, 'O_NOFOLLOW', 0), 0o666)


def _named(paths: Sequence[Path | str]) -> str:
    more = f' and {len(paths) - _SHOWN} more' if len(paths) > _SHOWN else ''
    return ', '.join(str(path) for path in paths[:_SHOWN]) + more


def _digest(path: Path) -> str:
    with open(path, 'rb') as file:
        digest = hashlib.sha256()
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
