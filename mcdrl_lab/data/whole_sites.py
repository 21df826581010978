"""The images and masks of a folder of sites; none is silently left out."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from mcdrl_common.verification.entry import Entry
from mcdrl_common.verification.listing import list_folder
from mcdrl_lab.errors import ConversionError

# Findings that training refuses too; file names alone reveal them.
_LEFT_OUT = ('unusable data set', 'no images', 'missing mask', 'ambiguous name')
_SHOWN = 3


def entries_of(root: Path) -> list[Entry]:
    """List a folder of sites, unless a part of it cannot be used.

    A data set made from it would otherwise silently lack that part.

    Args:
        root: Folder of sites as the converters write it.

    Raises:
        VerificationError: No such folder, or no site in it.
        ConversionError: A site or an image that cannot be used.
    """
    listing = list_folder(root)
    found = [one for one in listing.findings if one.kind in _LEFT_OUT]
    if found:
        shown = '; '.join(map(str, found[:_SHOWN]))
        more = f' and {len(found) - _SHOWN} more' if len(found) > _SHOWN else ''
        raise ConversionError(
            f'{root}: {shown}{more}. These would be left out: correct them, or use a '
            f'folder without them. python -m mcdrl_lab verify {root} lists them all.'
        )
    return listing.entries


def entries_by_site(root: Path) -> dict[str, list[Entry]]:
    """As :func:`entries_of`, by site; sites in alphabetical order."""
    entries = sorted(entries_of(root), key=lambda entry: entry.site)
    return {site: list(own) for site, own in groupby(entries, lambda entry: entry.site)}
