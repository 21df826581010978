"""A corrected copy of a data set, in a new folder."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcdrl_common import InputError
from mcdrl_common.atomic_write import write_text
from mcdrl_common.findings import FileProblem
from mcdrl_common.image_index import INDEX_FILE, image_stem, read_table
from mcdrl_common.site_files import CLASSES_FILE
from mcdrl_common.verification.copies import placed
from mcdrl_common.verification.entry import Entry, Listing
from mcdrl_common.verification.verification_report import Report

from .correcting import correct_image, correct_mask
from .csv_text import csv_text

# Problems that concern more than one image; no copy can correct them.
_ABOUT_MANY = (
    'missing folder',
    'unusable data set',
    'no images',
    'same file in two splits',
    'inverted masks',
    'faint masks',
    'image without index row',
    'index rows that differ',
    'misnamed site in the index',
    'swapped classes',
    'lesion-free site',
)
_COPIES = ('copy in two splits', 'copy at two sites')
_REPORT_FILE = 'fixed.json'
# Of several copies of an image, the one in the first of these splits is kept: test
# images must not be trained on.
_SPLIT_ORDER = {'test': 0, 'val': 1, 'train': 2, '': 3}


class FixError(InputError, ValueError):
    """The copy cannot be written; the message says what to do."""


@dataclass
class Fixed:
    """Result of writing a corrected copy.

    Args:
        folder: The copy.
        copied: Number of images copied with their masks.
        corrected: File -> what was done.
        left_out: File -> why it is not in the copy.
        remaining: Problems that no copy can correct.
    """

    folder: Path
    copied: int = 0
    corrected: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    remaining: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {**vars(self), 'folder': str(self.folder)}


def fix(listing: Listing, report: Report, folder: Path) -> Fixed:
    """Write a copy, corrected as far as that is possible without loss.

    Rotated images become upright, as PNG. Masks become one 8-bit channel of allowed
    values, if it is clear which. A file with another problem is left out together with
    its mask or image. Of several copies of an image one is kept. All other files are
    copied byte for byte. The folder only appears once it is complete.

    Args:
        listing: The data set.
        report: What is wrong with it, from a full verification.
        folder: The folder to write; must not exist.

    Raises:
        FixError: The folder exists, lies in the data set, or the data set is not in the
            common layout.
    """
    roots = {entry.root for entry in listing.entries}
    if not report.is_full:
        raise FixError('--fix needs the contents of the files: leave out --fast.')
    root = next(iter(roots), None)
    if len(roots) != 1 or root is None:
        raise FixError(
            '--fix needs one folder of sites in the common layout (docs/datasets.md); '
            f'the images lie in {sorted(map(str, roots)) or "no folder"}.'
        )
    if os.path.lexists(folder):
        raise FixError(f'--fix {folder}: already exists; choose another folder.')
    if folder.resolve().is_relative_to(root.resolve()):
        raise FixError(f'--fix {folder}: lies inside {root}; choose a folder outside.')
    fixed = Fixed(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=folder.parent, prefix=f'.{folder.name}-'
        ) as work:
            target = Path(work, 'sites')
            target.mkdir()
            _write(listing, report, root, target, fixed)
            target.rename(folder)
    except OSError as error:
        raise FixError(f'--fix {folder}: {error.strerror or error}.') from None
    return fixed


def _write(
    listing: Listing, report: Report, root: Path, target: Path, fixed: Fixed
) -> None:
    problems = _problems_by_file(report)
    fixed.remaining = [str(f) for f in report.problems if f.kind in _ABOUT_MANY]
    # Files that belong to no pair cannot be copied.
    for kind in ('missing mask', 'mask without image', 'ambiguous name'):
        for finding in report.findings:
            if finding.kind == kind:
                fixed.left_out[finding.file] = f'{kind}: {finding.detail}'
    renamed: dict[str, str | None] = {}
    seen: set[str] = set()
    entries = {entry.image: entry for entry in listing.entries}
    order = sorted(entries.values(), key=lambda e: (_SPLIT_ORDER[e.split], e.name))
    copies = _copy_groups(report, order)
    for entry in order:
        renamed[entry.name] = None
        if entry.name in fixed.left_out:
            continue
        if group := copies.get(entry.name):
            if group in seen:
                fixed.left_out[entry.name] = f'copy: {group}'
                continue
            seen.add(group)
        try:
            renamed[entry.name] = _copy_pair(entry, root, target, problems, fixed)
            fixed.copied += 1
        except FileProblem as problem:
            fixed.left_out[entry.name] = str(problem)
    for site in {Path(entry.name).parts[0] for entry in entries.values()}:
        classes = root / site / CLASSES_FILE
        if classes.is_file() and (target / site).is_dir():
            shutil.copyfile(classes, target / site / CLASSES_FILE)
    _copy_index(root / INDEX_FILE, target / INDEX_FILE, renamed)
    text = json.dumps(fixed.to_json(), indent=1, ensure_ascii=False)
    write_text(target / _REPORT_FILE, text + '\n')


def _problems_by_file(report: Report) -> dict[str, list[str]]:
    problems: dict[str, list[str]] = defaultdict(list)
    for finding in report.problems:
        if finding.kind not in (*_ABOUT_MANY, *_COPIES):
            problems[finding.file].append(finding.kind)
    return problems


def _copy_groups(report: Report, entries: Sequence[Entry]) -> dict[str, str]:
    """Image -> the group of copies that it belongs to."""
    names = {placed(entry): entry.name for entry in entries}
    groups: dict[str, str] = {}
    for finding in report.problems:
        if finding.kind in _COPIES:
            group = f'{finding.file} {finding.detail}'
            # Searched for, not split: a name may itself contain ' = '.
            members = f' = {group} = '
            own = [name for text, name in names.items() if f' = {text} = ' in members]
            groups |= dict.fromkeys(own, group)
    return groups


def _copy_pair(
    entry: Entry,
    root: Path,
    target: Path,
    problems: Mapping[str, list[str]],
    fixed: Fixed,
) -> str:
    """Copy an image and its mask; returns the image's new name.

    Raises:
        FileProblem: One of them cannot be corrected.
    """
    image_name, mask_name = entry.name, str(entry.mask.relative_to(root))
    wrong_image, wrong_mask = problems[image_name], problems[mask_name]
    new_image = target / image_name
    new_mask = target / mask_name
    image = turn = None
    if wrong_image:
        image, turn = correct_image(entry, wrong_image)
        new_image = new_image.with_suffix('.png')
        # The mask's size only tells whether it was drawn before or after rotation.
        wrong_mask = [kind for kind in wrong_mask if kind != 'mask size']
    mask = None
    if wrong_mask or turn is not None:
        mask = correct_mask(entry, wrong_mask, turn)
        new_mask = new_mask.with_suffix('.png')
    for path in (new_image, new_mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    if image is None:
        shutil.copyfile(entry.image, new_image)
    else:
        image.save(new_image)
        fixed.corrected[image_name] = 'rotated upright, written as PNG'
    if mask is None:
        shutil.copyfile(entry.mask, new_mask)
    else:
        mask.save(new_mask)
        fixed.corrected[mask_name] = 'one 8-bit channel of allowed values'
    return str(new_image.relative_to(target))


def _copy_index(source: Path, target: Path, renamed: Mapping[str, str | None]) -> None:
    """Copy the rows of images that are in the copy."""
    if not source.is_file():
        return
    columns, rows = read_table(source)
    written = {
        (Path(old).parts[0], Path(old).stem): new for old, new in renamed.items()
    }
    kept = []
    for row in rows:
        # Stripped, as ImageIndex does.
        site, image = (row.get(column, '').strip() for column in ('site', 'image'))
        key = site, image_stem(image)
        if new := written.get(key):
            kept.append({**row, 'image': new})
    write_text(target, csv_text(columns, kept))


def summary(fixed: Fixed) -> str:
    """What was done, in lines of text.

    Args:
        fixed: The copy.
    """
    lines = [
        f'{fixed.folder}: {fixed.copied} images with their masks, '
        f'{len(fixed.corrected)} files corrected, {len(fixed.left_out)} left out.'
    ]
    lines += [f'  corrected: {file}: {how}' for file, how in fixed.corrected.items()]
    lines += [f'  left out: {file}: {why}' for file, why in fixed.left_out.items()]
    lines += [f'  remains: {one}' for one in fixed.remaining]
    return '\n'.join(lines)
