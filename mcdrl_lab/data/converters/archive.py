"""Archives from strangers, unpacked without trusting them."""

from __future__ import annotations

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, cast

from mcdrl_common.findings import ConversionError

_CHUNK = 1 << 20
# Names of files are some hundred bytes long.
_MAX_HEADER = 1 << 20
_HELD_IN_MEMORY = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError)


@dataclass(frozen=True)
class Limits:
    """What an archive may hold.

    Args:
        members: Most files and folders.
        total_bytes: Most bytes once unpacked.
        ratio: Most times the archive's own size once unpacked. Masks compress
            hundreds of times, so it counts from ``ratio_from_bytes`` on.
        ratio_from_bytes: Unpacked bytes below which the ratio is not looked at.
    """

    members: int = 500_000
    total_bytes: int = 200 * 2**30
    ratio: float = 200.0
    ratio_from_bytes: int = 2**30


@dataclass(frozen=True)
class _Member:
    name: str
    is_folder: bool
    refused: str | None
    open: Callable[[], IO[bytes]]


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or tar archive, by its content.

    Args:
        path: The file.
    """
    return _is_tar(path) or zipfile.is_zipfile(path)


def unpack(archive: Path, folder: Path, limits: Limits) -> None:
    """Unpack an archive's files below a folder.

    Args:
        archive: A zip file, or a tar file however compressed.
        folder: Existing empty folder.
        limits: What the archive may hold.

    Raises:
        ConversionError: A member points outside the folder, is a link or a device, is
            encrypted, twice there or damaged, or exceeds a limit; the message names
            it. The folder may then hold the members before it.
    """
    budget = _Budget(archive, limits)
    name = archive.name
    try:
        with _members(archive) as members:
            for member in members:
                name = member.name
                budget.add_member(name)
                if member.refused:
                    raise _refusal(archive, name, member.refused)
                target = folder.joinpath(*_safe_parts(archive, name))
                if member.is_folder:
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with member.open() as source, open(target, 'xb') as file:
                    while chunk := source.read(_CHUNK):
                        budget.add_bytes(name, len(chunk))
                        file.write(chunk)
    except FileExistsError:
        raise _refusal(archive, name, 'is there twice') from None
    except (*_BROKEN, NotImplementedError) as error:
        raise _refusal(archive, name, f'is damaged ({error})') from None
    except OSError as error:
        reason = f'cannot be unpacked ({error.strerror or error})'
        raise _refusal(archive, name, reason) from None


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[_Member]]:
    # A zip file is known by its end, and the end of a tar file may be one.
    if zipfile.is_zipfile(archive) and not _is_tar(archive):
        with zipfile.ZipFile(archive) as file:
            yield (_zip_member(file, info) for info in file.infolist())
    else:
        with _open_tar(archive) as file:
            yield (_tar_member(file, info) for info in file)


def _zip_member(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    kind = stat.S_IFMT(info.external_attr >> 16)
    refused = None
    if kind == stat.S_IFLNK:
        refused = 'is a link'
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        refused = 'is a device or pipe'
    elif info.flag_bits & 1:
        refused = 'is encrypted'
    return _Member(info.filename, info.is_dir(), refused, lambda: file.open(info))


class _ShortTarInfo(tarfile.TarInfo):
    """A header whose long name or extended fields are no bomb.

    ``tarfile`` holds these in memory, as long as the archive says they are, before
    anybody sees the member that they belong to.
    """

    @classmethod
    def frombuf(
        cls, buf: bytes | bytearray, encoding: str, errors: str
    ) -> _ShortTarInfo:
        info = super().frombuf(buf, encoding, errors)
        if info.type in _HELD_IN_MEMORY and info.size > _MAX_HEADER:
            raise tarfile.ReadError(f'a header of {info.size} bytes')
        return info


def _open_tar(archive: Path) -> tarfile.TarFile:
    return tarfile.open(archive, tarinfo=_ShortTarInfo)


def _is_tar(path: Path) -> bool:
    try:
        with _open_tar(path):
            return True
    except tarfile.TarError:
        return False


def _tar_member(file: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    refused = None
    if info.issym() or info.islnk():
        refused = 'is a link'
    elif not (info.isreg() or info.isdir()):
        refused = 'is a device or pipe'
    # Only files are opened, and of these there is a content.
    return _Member(
        info.name,
        info.isdir(),
        refused,
        lambda: cast(IO[bytes], file.extractfile(info)),
    )


def _safe_parts(archive: Path, name: str) -> tuple[str, ...]:
    """Parts of a member's path, if it stays inside the folder on any system."""
    path = PurePosixPath(name.replace('\\', '/'))
    windows = PureWindowsPath(name)
    if path.is_absolute() or windows.drive or windows.root:
        raise _refusal(archive, name, 'is an absolute path')
    if '..' in path.parts or '\0' in name:
        raise _refusal(archive, name, 'points outside the archive')
    return path.parts


class _Budget:
    """Counts what was unpacked against the limits."""

    def __init__(self, archive: Path, limits: Limits) -> None:
        self.archive = archive
        self.limits = limits
        self.packed = archive.stat().st_size
        self.members = 0
        self.bytes = 0

    def add_member(self, name: str) -> None:
        self.members += 1
        if self.members > self.limits.members:
            reason = f'is one more than the {self.limits.members} members allowed'
            raise _refusal(self.archive, name, reason)

    def add_bytes(self, name: str, count: int) -> None:
        self.bytes += count
        if self.bytes > self.limits.total_bytes:
            reason = f'makes more than {self.limits.total_bytes} bytes unpacked'
            raise _refusal(self.archive, name, f'{reason}; see --max-unpacked-gib')
        free = self.limits.ratio_from_bytes
        if self.bytes > max(free, self.limits.ratio * self.packed):
            reason = f'makes more than {self.limits.ratio:g} times the size'
            raise _refusal(self.archive, name, f'{reason} of the archive unpacked')


def _refusal(archive: Path, name: str, reason: str) -> ConversionError:
    return ConversionError(
        f'{archive.name}: member {name!r} {reason}. Nothing of it was kept. If you '
        'trust the archive, unpack it yourself and give the folder.'
    )
