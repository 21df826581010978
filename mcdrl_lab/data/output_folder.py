"""The output folder: one conversion at a time, each site complete or absent."""

from __future__ import annotations

import filecmp
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mcdrl_common.atomic_write import remove_unfinished, write_bytes
from mcdrl_common.file_lock import FolderBusyError, folder_lock
from mcdrl_lab.errors import ConversionError

_WORK = '.converting-'
_BACKUP = '.previous-'


@contextmanager
def work_folder(out: Path) -> Iterator[Path]:
    """Make a folder for unfinished files inside the output folder.

    The output folder is locked meanwhile. First, leftovers of a killed conversion are
    cleaned up: its unfinished files are removed, and a site that it had moved aside is
    moved back.

    Args:
        out: The output folder; made if it does not exist, and then removed again if
            it stays empty.

    Yields:
        The folder; removed at the end.

    Raises:
        ConversionError: The folder cannot be made, or another conversion is running.
    """
    made = not out.exists()
    with ExitStack() as stack:
        try:
            stack.enter_context(folder_lock(out))
        except FolderBusyError:
            raise ConversionError(
                f'--out {out}: another conversion is writing there; wait for it.'
            ) from None
        except OSError as error:
            raise ConversionError(f'--out {out}: {error.strerror}.') from None
        if made:
            stack.callback(_remove_if_unused, out)
        _clean_up(out)
        work = tempfile.TemporaryDirectory(dir=out, prefix=_WORK)
        yield Path(stack.enter_context(work))


def _remove_if_unused(out: Path) -> None:
    """Remove a folder that holds nothing but its lock."""
    if not any(path.name[0] != '.' for path in out.iterdir()):
        shutil.rmtree(out)


def _clean_up(out: Path) -> None:
    for left in out.glob(f'{_WORK}*'):
        _remove(left)
    for backup in out.glob(f'{_BACKUP}*'):
        target = out / backup.name.removeprefix(_BACKUP)
        if target.exists():
            _remove(backup)
        else:
            backup.rename(target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def put_folder(new: Path, target: Path) -> None:
    """Move a finished folder into place; an existing one is replaced.

    Args:
        new: The folder, on the same file system.
        target: Where it belongs.
    """
    backup = target.with_name(_BACKUP + target.name)
    if target.exists():
        target.rename(backup)
    try:
        new.rename(target)
    except BaseException:
        if backup.exists():
            backup.rename(target)
        raise
    if backup.exists():
        _remove(backup)


def is_new(finished: Path, target: Path) -> bool:
    """Whether a finished folder is not in its place yet.

    Args:
        finished: The folder.
        target: Where it belongs.

    Raises:
        ConversionError: A folder with other content is there.
    """
    if not target.exists():
        return True
    differing = differences(finished, target)
    if differing:
        raise ConversionError(
            f'{target} already exists and would change: {len(differing)} files, such '
            f'as {differing[:3]}. Move it away, or choose another folder.'
        )
    return False


def put_text(text: str, target: Path) -> bool:
    """Write a text file atomically, if its content changes.

    Args:
        text: Its content.
        target: The file.

    Returns:
        Whether it changed.
    """
    content = text.encode()
    if target.is_file() and target.read_bytes() == content:
        return False
    remove_unfinished(target)
    write_bytes(target, content)
    return True


def differences(new: Path, old: Path) -> list[str]:
    """Files that differ between two folders.

    Args:
        new: A folder.
        old: Another.

    Returns:
        Paths relative to the folders, sorted.
    """
    both = _files(new) & _files(old)
    changed = {
        name for name in both if not filecmp.cmp(new / name, old / name, shallow=False)
    }
    return sorted(changed | (_files(new) ^ _files(old)))


def _files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob('*')
        if not path.is_dir()
    }
