"""Sequences and patients of images that were made of others."""

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
    """Write an index beside the new sites, where there is something to tell.

    Without it frames of one patient would be trained on and validated with, and count
    as independent where methods are compared. So would several images that were made
    of one: where nothing is known of it, it is their sequence.

    Args:
        source: Folder of the sites that images were made of.
        out: Folder of the new sites.
        made: An image, and the path of what was made of it, relative to ``out``.

    Raises:
        ConversionError: An index that cannot be read or does not tell the patients of
            all images, or another one in ``out``.
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
        # Of several that were made of one image it is looked up once.
        images = [*dict.fromkeys(entry.image for entry, _ in own)]
        indexed = index.images_of([site], images)
        if indexed.cut:
            # What is made of an image would else have a sequence of its own.
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
            f'{target} is there already and would change: move it away, or choose '
            'another folder.'
        )
    put_text(text, target)
