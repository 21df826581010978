"""Unpacking of untrusted archives.

``zipfile`` and ``tarfile`` with its data filter unpack. Members that they would
silently change or overwrite are refused by name beforehand: paths that point outside,
links and duplicates. So are members that would fill the disk.
"""

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

from mcdrl_lab.errors import ConversionError

# Largest long name or block of extended fields, in bytes; real ones have some hundred.
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
        members: Largest number of files and folders.
        total_bytes: Largest total size once unpacked.
        ratio: Largest ratio of the unpacked size to the archive's own size. Masks
            compress by factors of hundreds, so small archives may exceed it.
        ratio_from_bytes: Unpacked bytes up to which the ratio is not checked.
    """

    members: int = 500_000
    total_bytes: int = 200 * 2**30
    ratio: float = 200.0
    ratio_from_bytes: int = 2**30


@dataclass(frozen=True)
class _Member:
    """A file or folder of an archive.

    Args:
        name: Its name in the archive.
        size: Bytes once unpacked; neither library writes more than the header says.
        is_folder: Whether it is a folder.
        refused: Why it is not unpacked, or None.
        extract: Unpacks it, given its path and the folder to unpack into.
    """

    name: str
    size: int
    is_folder: bool
    refused: str | None
    extract: Callable[[str, Path], object]


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or tar archive, by its content.

    Args:
        path: The file.
    """
    return _is_tar(path) or zipfile.is_zipfile(path)


def unpack(archive: Path, folder: Path, limits: Limits) -> None:
    """Unpack an archive's files below a folder.

    Args:
        archive: A zip file, or a tar file with any compression.
        folder: Existing empty folder.
        limits: What the archive may hold.

    Raises:
        ConversionError: A member points outside the folder, is a link or a device, is
            encrypted, duplicate or damaged, or exceeds a limit; the message names it.
            The folder may then hold the members unpacked before it.
    """
    allowed = max(limits.ratio_from_bytes, limits.ratio * archive.stat().st_size)
    unpacked, name = 0, archive.name
    try:
        with _members(archive) as members:
            for number, member in enumerate(members, start=1):
                name = member.name
                unpacked += member.size
                reason = member.refused or _pointing_outside(name)
                if number > limits.members:
                    reason = f'exceeds the limit of {limits.members} members'
                elif unpacked > allowed:
                    reason = f'brings the unpacked total above {limits.ratio:g} times '
                    reason += 'the size of the archive'
                elif unpacked > limits.total_bytes:
                    reason = f'brings the unpacked total above {limits.total_bytes} '
                    reason += 'bytes; see --max-unpacked-gib'
                path = _posix(name)
                if not member.is_folder and not reason:
                    target = folder / path
                    reason = 'appears twice' if target.exists() else None
                if reason:
                    raise _refusal(archive, name, reason)
                member.extract(path, folder)
    except (*_BROKEN, NotImplementedError) as error:
        raise _refusal(archive, name, f'is damaged ({error})') from None
    except OSError as error:
        reason = f'cannot be unpacked ({error.strerror or error})'
        raise _refusal(archive, name, reason) from None


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[_Member]]:
    # zipfile only looks at the end of a file, and a tar file may end with a zip file.
    if zipfile.is_zipfile(archive) and not _is_tar(archive):
        with zipfile.ZipFile(archive) as file:
            yield (_zip_member(file, info) for info in file.infolist())
    else:
        with _open_tar(archive) as file:
            yield (_tar_member(file, info) for info in file)


def _zip_member(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    def extract(path: str, folder: Path) -> None:
        info.filename = path + '/' * info.is_dir()
        file.extract(info, folder)

    kind = stat.S_IFMT(info.external_attr >> 16)
    refused = None
    if kind == stat.S_IFLNK:
        refused = 'is a link'
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        refused = 'is a device or pipe'
    elif info.flag_bits & 1:
        refused = 'is encrypted'
    return _Member(info.filename, info.file_size, info.is_dir(), refused, extract)


def _tar_member(file: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    def extract(path: str, folder: Path) -> None:
        file.extract(info.replace(name=path, deep=False), folder, filter='data')

    refused = None
    if info.issym() or info.islnk():
        refused = 'is a link'
    elif not (info.isreg() or info.isdir()):
        refused = 'is a device or pipe'
    return _Member(info.name, info.size, info.isdir(), refused, extract)


class _ShortTarInfo(tarfile.TarInfo):
    """A header that limits the size of long names and extended fields.

    ``tarfile`` reads them into memory, at whatever size the archive states, before it
    returns the member that they belong to.
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


def _posix(name: str) -> str:
    """A member's path with forward slashes; Windows programs may write backslashes."""
    return str(PurePosixPath(name.replace('\\', '/')))


def _pointing_outside(name: str) -> str | None:
    """Why a member's path leads outside the folder on any system, or None."""
    path, windows = PurePosixPath(_posix(name)), PureWindowsPath(name)
    if path.is_absolute() or windows.drive or windows.root:
        return 'is an absolute path'
    if '..' in path.parts or '\0' in name:
        return 'points outside the archive'
    return None


def _refusal(archive: Path, name: str, reason: str) -> ConversionError:
    return ConversionError(
        f'{archive.name}: member {name!r} {reason}. Nothing of the archive was '
        'kept. If you trust it, unpack it yourself and give the folder.'
    )
