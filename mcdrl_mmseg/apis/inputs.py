"""Inputs to segment: images, folders, patterns, videos and DICOM files."""

from __future__ import annotations

import glob
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import cv2
import numpy as np

from .dicom import count_frames, is_dicom, read_dicom
from .image_pipeline import ImageError, read_image
from .video_files import opened_video

# fmt: off
IMAGE_ENDINGS = frozenset((
    '.bmp', '.dib', '.jp2', '.jpe', '.jpeg', '.jpg', '.pbm', '.pgm', '.png', '.pnm',
    '.ppm', '.tif', '.tiff', '.webp',
))
VIDEO_ENDINGS = frozenset((
    '.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.ts', '.webm', '.wmv',
))
# fmt: on
DICOM_ENDINGS = frozenset(('.dcm', '.dicom'))
# The frame count in a video container is approximate.
_FRAMES_TOLERATED = 0.02
_MAX_FRAMES_A_SECOND = 1000


class Kind(Enum):
    """How a file is read."""

    IMAGE = 'image'
    VIDEO = 'video'
    DICOM = 'DICOM'


@dataclass(frozen=True)
class InputFile:
    """A file to segment.

    Attributes:
        path: The file.
        kind: How it is read.
        name: Name of its result files, without suffix; unique within the run. It may
            contain folders.
    """

    path: Path
    kind: Kind
    name: str


@dataclass
class Inputs:
    """Files found under the names that the user gave.

    Attributes:
        files: Files to segment, each once, in the given order; folders are sorted.
        ignored: Files in folders that are neither image, video nor DICOM.
        problems: Name -> why there is nothing to segment.
    """

    files: list[InputFile] = field(default_factory=list)
    ignored: list[Path] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


def find_inputs(names: Iterable[str], leave_out: Path | None = None) -> Inputs:
    """Find the files behind paths, folders and patterns.

    Folders are searched recursively; hidden files are skipped. A name is a pattern only
    if no file has this name.

    Args:
        names: Files, folders, or patterns with ``*``, ``?``, ``[...]`` or ``**``.
        leave_out: Folder of the results, which is not searched.

    Returns:
        The files with unique names: if results of two files would collide, both names
        get the folder or suffix in which they differ.

    Raises:
        ImageError: A checkpoint is among the names.
    """
    names = list(names)
    _refuse_checkpoints(names)
    inputs = Inputs()
    # Path of the file -> its base folder, so that names keep subfolders; and its kind.
    found: dict[Path, tuple[Path, Kind]] = {}
    for name in names:
        try:
            _find(name, leave_out, inputs, found)
        except (OSError, ValueError) as error:
            # For example, the name is too long, or a folder is not readable.
            inputs.problems[name] = str(error)
    once = {file.resolve(): file for file in reversed(found)}
    kept = [file for file in found if once[file.resolve()] is file]
    own_names = _unique_names([(file, *found[file]) for file in kept])
    inputs.files = [
        InputFile(file, found[file][1], own_name)
        for file, own_name in zip(kept, own_names)
    ]
    return inputs


def _refuse_checkpoints(names: Sequence[str]) -> None:
    """Refuse checkpoints, left over when the shell expands a pattern to several."""
    checkpoints = [name for name in names if name.endswith('.pth')]
    if checkpoints:
        raise ImageError(
            f'{", ".join(checkpoints)} among the images: expected one checkpoint, as '
            'the first argument. A pattern such as best_*.pth may match several, for '
            'example one of an earlier training or a calibrated one. Name one of them '
            'instead.'
        )


def _find(
    name: str,
    leave_out: Path | None,
    inputs: Inputs,
    found: dict[Path, tuple[Path, Kind]],
) -> None:
    """Find the files behind one name."""
    path = Path(name)
    if path.is_dir():
        files, ignored = _in_folder(path, leave_out)
        inputs.ignored += ignored
        if not files:
            inputs.problems[name] = 'a folder without an image, video or DICOM file'
        for file, kind in files:
            found.setdefault(file, (path, kind))
    elif path.exists():
        found.setdefault(path, (path.parent, _kind_of(path) or Kind.IMAGE))
    else:
        matches = [Path(m) for m in sorted(glob.glob(name, recursive=True))]
        matches = [m for m in matches if m.is_file()]
        if not matches:
            inputs.problems[name] = 'no such file or folder, and no file matches'
        for match in matches:
            known = _kind_of(match)
            if known is None:
                inputs.ignored.append(match)
            else:
                found.setdefault(match, (match.parent, known))


def _in_folder(
    folder: Path, leave_out: Path | None
) -> tuple[list[tuple[Path, Kind]], list[Path]]:
    files, ignored = [], []
    left_out = None if leave_out is None else leave_out.resolve()
    for path in sorted(folder.rglob('*')):
        hidden = any(part.startswith('.') for part in path.relative_to(folder).parts)
        if hidden or not path.is_file() or left_out in path.resolve().parents:
            continue
        kind = _kind_of(path)
        if kind is None:
            ignored.append(path)
        else:
            files.append((path, kind))
    return files, ignored


def _kind_of(path: Path) -> Kind | None:
    # Scanners give their files any suffix, numbers, or none.
    if is_dicom(path):
        return Kind.DICOM
    ending = path.suffix.lower()
    if ending in IMAGE_ENDINGS:
        return Kind.IMAGE
    if ending in VIDEO_ENDINGS:
        return Kind.VIDEO
    return Kind.DICOM if ending in DICOM_ENDINGS else None


class _Places:
    """Paths of results, which must not be equal or inside one another."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._above: set[str] = set()

    def free(self, places: Iterable[str]) -> bool:
        """Whether results at these paths would not collide with others."""
        return not any(
            place in self._taken or place in self._above or self._taken & _above(place)
            for place in places
        )

    def take(self, places: Iterable[str]) -> None:
        """Reserve paths for one file."""
        for place in places:
            self._taken.add(place)
            self._above |= _above(place)


def _above(place: str) -> set[str]:
    """All parent folders of a path."""
    parts = place.split('/')
    return {'/'.join(parts[:count]) for count in range(1, len(parts))}


def _places(name: str, path: Path, kind: Kind) -> set[str]:
    """Result paths of a file with this name, for all tools."""
    places = {f'{name}.png', f'{name}.json'}
    if kind is not Kind.IMAGE:
        places.add(name + path.suffix)  # folder of the frames
    if kind is Kind.VIDEO:
        places.add(f'{name}.mp4')
    # Some file systems ignore case.
    return {place.lower() for place in places}


def _unique_names(files: Sequence[tuple[Path, Path, Kind]]) -> list[str]:
    """Names without suffix, relative to their base; longer if results would collide.

    Args:
        files: Path, base and kind of each.
    """

    def places(number: int, name: str) -> set[str]:
        path, _, kind = files[number]
        return _places(name, path, kind)

    names = [
        path.relative_to(root).with_suffix('').as_posix() for path, root, _ in files
    ]
    groups = _colliding([places(number, name) for number, name in enumerate(names)])
    taken = _Places()
    for group in groups:
        if len(group) == 1:
            taken.take(places(group[0], names[group[0]]))
    for group in groups:
        if len(group) == 1:
            continue
        for tried in _longer_names([(*files[n][:2], names[n]) for n in group]):
            own, fits = _Places(), True
            for wanted in map(places, group, tried):
                fits = fits and taken.free(wanted) and own.free(wanted)
                own.take(wanted)
            if fits:
                break
        for number, name in zip(group, tried):
            taken.take(places(number, name))
            names[number] = name
    return names


def _colliding(places: Sequence[set[str]]) -> list[list[int]]:
    """Groups of files whose results would collide."""
    parents = list(range(len(places)))

    def group_of(number: int) -> int:
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    first: dict[str, int] = {}
    for number, own in enumerate(places):
        for place in own:
            parents[group_of(number)] = group_of(first.setdefault(place, number))
    for number, own in enumerate(places):
        for folder in set().union(*map(_above, own)):
            if folder in first:
                parents[group_of(number)] = group_of(first[folder])
    groups: dict[int, list[int]] = {}
    for number in range(len(places)):
        groups.setdefault(group_of(number), []).append(number)
    return list(groups.values())


def _longer_names(files: Sequence[tuple[Path, Path, str]]) -> Iterator[list[str]]:
    """Endless sequence of ways to make equal names different, best first."""
    endings = [path.suffix.removeprefix('.') for path, _, _ in files]
    folders = [base.resolve().name for _, base, _ in files]
    names = [name for _, _, name in files]
    yield [f'{folder}/{name}' for folder, name in zip(folders, names)]
    yield [f'{name}_{ending}' for name, ending in zip(names, endings)]
    for first in itertools.count(1):
        yield [f'{name}_{first + n}' for n, name in enumerate(names)]


def count_images(file: InputFile) -> int:
    """Number of images in a file; approximate for a video.

    Args:
        file: The file.

    Raises:
        ImageError: It cannot be read.
    """
    if file.kind is Kind.IMAGE:
        return 1
    if file.kind is Kind.DICOM:
        return count_frames(file.path)
    with opened_video(file.path) as video:
        return max(1, int(video.get(cv2.CAP_PROP_FRAME_COUNT)))


def frame_rate(file: InputFile) -> float:
    """Frames per second of a video; 25 if the file does not say.

    Args:
        file: A video.

    Raises:
        ImageError: It cannot be read.
    """
    with opened_video(file.path) as video:
        rate = video.get(cv2.CAP_PROP_FPS)
    return rate if 0 < rate < _MAX_FRAMES_A_SECOND else 25.0


def read_images(file: InputFile) -> Iterator[np.ndarray]:
    """Read the images of a file.

    Args:
        file: An image, a video or a DICOM object.

    Yields:
        (H, W, 3) uint8, blue first.

    Raises:
        ImageError: The file cannot be read, or ends early; earlier images have then
            been returned.
    """
    if file.kind is Kind.IMAGE:
        yield read_image(file.path)
    elif file.kind is Kind.DICOM:
        yield from read_dicom(file.path)
    else:
        yield from _read_video(file.path)


def _read_video(path: Path) -> Iterator[np.ndarray]:
    count = 0
    with opened_video(path) as video:
        promised = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        while True:
            done, frame = video.read()
            if not done:
                break
            count += 1
            yield frame
    if not count:
        raise ImageError(f'{path}: no frame of the video can be decoded.')
    if count < (1 - _FRAMES_TOLERATED) * promised - 1:
        raise ImageError(
            f'{path}: the video ends after {count} of {promised} frames; the rest is '
            'damaged or missing.'
        )
