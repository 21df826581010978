"""Sequences and patients of images that were made from other images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from mcdrl_common.image_index import INDEX_FILE, ImageIndex, ImageIndexError
from mcdrl_common.verification.entry import Entry
from mcdrl_lab.data.csv_text import csv_text
from mcdrl_lab.data.output_folder import put_text
from mcdrl_lab.errors import ConversionError

_COLUMNS = ('site', 'image', 'sequence', 'patient')


def keep_groups(source: Path, out: Path, made: Iterable[tuple[Entry, str]]) -> None:
    """Write an index beside the new sites, if there are groups to keep.

    Without it, frames of one patient could be in both training and validation, and
    would count as independent when methods are compared. The same holds for several
    images made from one image: if its group is not known, they form a sequence.

    Args:
        source: Folder of the sites that images were made from.
        out: Folder of the new sites.
        made: An image, and the path of a new image made from it, relative to ``out``.

    Raises:
        ConversionError: The index cannot be read or lacks the patients of some images,
            or ``out`` has a different index.
    """
    made = list(made)
    try:
        index = ImageIndex.read(source / INDEX_FILE)
    except ImageIndexError as error:
        raise ConversionError(str(error)) from None
    rows = []
    parts = Counter(entry.image for entry, _ in made)
    for site in dict.fromkeys(entry.site for entry, _ in made):
        own = [(entry, name) for entry, name in made if entry.site == site]
        # Several new images may come from the same image: look it up once.
        images = [*dict.fromkeys(entry.image for entry, _ in own)]
        indexed = index.images_of([site], images)
        if indexed.cut:
            # Otherwise each image without a row would become a sequence of its own.
            raise ConversionError(f'site {site!r}: {indexed.cut}')
        known = indexed.rows
        for entry, name in own:
            row = known.get(entry.image.name)
            groups = (row.sequence, row.patient) if row else ('', '')
            if not any(groups) and parts[entry.image] > 1:
                groups = (entry.image.stem, '')
            if any(groups):
                rows.append(dict(zip(_COLUMNS, (site, name, *groups))))
    if not rows:
        return
    target, text = out / INDEX_FILE, csv_text(_COLUMNS, rows)
    if target.exists() and target.read_text('utf-8') != text:
        raise ConversionError(
            f'{target} already exists and would change. Move it away, or choose '
            'another folder.'
        )
    put_text(text, target)
