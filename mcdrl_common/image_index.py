"""The index of images (``index.csv``): sequence and patient of each image."""

from __future__ import annotations

import codecs
import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mcdrl_common import InputError

from .findings import Finding
from .site_files import IMAGE_SUFFIXES

INDEX_FILE = 'index.csv'


class ImageIndexError(InputError, ValueError):
    """An index that cannot be read; the message names the file and says what to do."""


@dataclass(frozen=True)
class IndexRow:
    """A row of an index, about one image.

    Args:
        site: Its site, or the folder of its site.
        image: Its name as written in the index.
        sequence: The video it was taken from; empty if not known.
        patient: The patient; empty if not known.
    """

    site: str
    image: str
    sequence: str = ''
    patient: str = ''


@dataclass(frozen=True)
class IndexedImages:
    """The images of a site, and their rows in the index.

    Args:
        groups: Image name -> patient or sequence, if the index names one.
        findings: Disagreements between images and index.
        cut: Why a split of these images could divide a patient; empty if it cannot.
        rows: Image name -> its row.
    """

    groups: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    cut: str = ''
    rows: dict[str, IndexRow] = field(default_factory=dict)


def read_table(file: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Read a CSV file as written by spreadsheet programs.

    Args:
        file: UTF-8, or UTF-16 with its byte order mark; commas, semicolons or tabs.

    Returns:
        The columns, and one dict per row.

    Raises:
        ImageIndexError: Another encoding, not CSV, or a row of another length.
    """
    content = file.read_bytes()
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode('utf-16' if is_utf16 else 'utf-8-sig')
    except UnicodeDecodeError as error:
        raise ImageIndexError(
            f'{file}: cannot be read as an index: byte {error.start} is not UTF-8. '
            "Save it as 'CSV UTF-8'."
        ) from None
    header = text.partition('\n')[0]
    delimiter = max(',;\t', key=header.count)
    try:
        reader = csv.DictReader(
            io.StringIO(text, newline=''), delimiter=delimiter, strict=True
        )
        columns, rows = list(reader.fieldnames or []), list(reader)
    except csv.Error as error:
        raise ImageIndexError(f'{file}: cannot be read as an index: {error}') from None
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise ImageIndexError(
                f'{file}: entry {number}: expected {len(columns)} values, as in the '
                'header.'
            )
    return columns, rows


@dataclass(frozen=True)
class ImageIndex:
    """All rows of an index.

    Args:
        file: The file; need not exist.
        rows: Its rows.
    """

    file: Path
    rows: Sequence[IndexRow] = ()

    @classmethod
    def read(cls, file: Path) -> ImageIndex:
        """Read an index; without a file it is empty.

        Args:
            file: The file.

        Raises:
            ImageIndexError: The file exists but cannot be read, or lacks columns.
        """
        if not file.is_file():
            return cls(file)
        columns, rows = read_table(file)
        if not {'site', 'image'} <= set(columns):
            raise ImageIndexError(
                f"{file}: needs the columns 'site', 'image' and 'sequence' or "
                f"'patient', found {columns}."
            )
        names = ('site', 'image', 'sequence', 'patient')
        return cls(
            file,
            [IndexRow(*(row.get(name, '').strip() for name in names)) for row in rows],
        )

    def unknown_sites(self, known: Iterable[str]) -> list[str]:
        """Sites of the index that are neither known nor a folder beside it.

        Args:
            known: Names of sites.
        """
        named = {row.site for row in self.rows} - set(known)
        return sorted(name for name in named if not (self.file.parent / name).is_dir())

    def images_of(self, names: Sequence[str], images: Sequence[Path]) -> IndexedImages:
        """Find the rows of a site's images.

        Rows are matched by file name, with or without suffix. Images and rows without a
        match are reported, and whether they could divide a patient between splits.

        Args:
            names: The site's name, and its folder's.
            images: Its image files.
        """
        if not self.rows:
            return IndexedImages()
        rows = [row for row in self.rows if row.site in names]
        if not rows:
            return self._without_rows(names)
        found, lost = _match(rows, images)
        groups, uncertain = _groups(found)
        lacking = [image.name for image in images if image.name not in found]
        findings = self._rows_without_image(names[0], lost, lacking)
        cut = ''
        if lacking and any(row.sequence or row.patient for row in rows):
            cut = (
                f'{len(lacking)} of {len(images)} images have no row in {self.file}, '
                f'such as {lacking[:5]}: their patients could be on both sides of a '
                'split.'
            )
            if lost:
                cut += f' Rows without an image: {[row.image for row in lost[:5]]}.'
        findings += [
            Finding('image without index row', f'{names[0]}: {name}', 'is not listed')
            for name in (lacking if cut else ())
        ]
        for image, own in found.items():
            if len({(row.sequence, row.patient) for row in own}) > 1:
                detail = f'{len(own)} rows in {self.file.name} that do not agree'
                findings.append(
                    Finding('index rows that differ', f'{names[0]}: {image}', detail)
                )
                cut = cut or f'{image}: {detail}.'
        uncertain += [image for image in found if image not in groups]
        if groups and uncertain:
            detail = (
                f'{len(uncertain)} of {len(images)} images, such as {uncertain[:5]}'
            )
            findings.append(Finding('image of unknown patient', names[0], detail))
        last = {image: own[-1] for image, own in found.items()}
        return IndexedImages(groups, findings, cut, last)

    def _rows_without_image(
        self, site: str, lost: Sequence[IndexRow], lacking: Sequence[str]
    ) -> list[Finding]:
        by_number = {_number(name): name for name in lacking}
        findings = []
        for row in lost:
            detail = (
                f'listed in {self.file.name}, but the site has no image of this name'
            )
            if like := by_number.get(_number(_file_name(row.image))):
                detail += f'; {like} exists: did a spreadsheet drop leading zeros?'
            findings.append(
                Finding('index row without image', f'{site}: {row.image}', detail)
            )
        return findings

    def _without_rows(self, names: Sequence[str]) -> IndexedImages:
        unknown = self.unknown_sites(names)
        if unknown:
            detail = f'not listed in {self.file.name}, which lists {unknown} instead'
            finding = Finding('misnamed site in the index', names[0], detail)
            return IndexedImages(findings=[finding], cut=f'{names[0]}: {detail}.')
        detail = f'not listed in {self.file.name}'
        return IndexedImages(findings=[Finding('site without index', names[0], detail)])


def _match(
    rows: Sequence[IndexRow], images: Sequence[Path]
) -> tuple[dict[str, list[IndexRow]], list[IndexRow]]:
    """Image -> its rows, and the rows that match no image."""
    by_name = {image.name: image.name for image in images}
    by_stem = {image.stem: image.name for image in images}
    found: dict[str, list[IndexRow]] = {}
    lost = []
    for row in rows:
        name = _file_name(row.image)
        image = by_name.get(name) or by_stem.get(name) or by_stem.get(image_stem(name))
        if image:
            found.setdefault(image, []).append(row)
        else:
            lost.append(row)
    return found, lost


def _groups(found: dict[str, list[IndexRow]]) -> tuple[dict[str, str], list[str]]:
    """Image -> patient, or sequence; and the images whose sequence two patients share.

    For a site with a single patient the sequences count; otherwise it could not be
    split. Where only some rows of a sequence name the patient, all of its images belong
    to this patient: else the sequence could be divided.
    """
    rows = [row for own in found.values() for row in own]
    patients = {row.patient for row in rows} - {''}
    patients_of: dict[str, set[str]] = {}
    for row in rows:
        if row.sequence and row.patient:
            patients_of.setdefault(row.sequence, set()).add(row.patient)
    groups, uncertain = {}, []
    for image, own in found.items():
        row = own[-1]
        is_single = row.sequence and len(patients) < 2
        known = {row.patient} if row.patient else patients_of.get(row.sequence, set())
        if len(known) > 1:
            uncertain.append(image)
        patient = next(iter(known)) if len(known) == 1 else ''
        if group := row.sequence if is_single else patient or row.sequence:
            groups[image] = group
    return groups, uncertain


def _file_name(path: str) -> str:
    """The last part of a path, with the separators of any system."""
    return path.replace('\\', '/').rpartition('/')[2]


def image_stem(path: str) -> str:
    """Name of an image without folder and suffix, used to match images.

    Args:
        path: The image as written in an index, with or without folder and suffix.
    """
    name = _file_name(path)
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in IMAGE_SUFFIXES else name


def _number(name: str) -> str:
    """A name as written by a spreadsheet program that takes it for a number."""
    return image_stem(name).lstrip('0') or '0'
