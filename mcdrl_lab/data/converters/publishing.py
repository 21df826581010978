"""Moving finished sites into the output folder, with index and reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcdrl_common.image_copies import Fingerprint
from mcdrl_common.image_index import INDEX_FILE
from mcdrl_common.json_files import read_json
from mcdrl_lab.data.output_folder import differences, put_folder, put_text
from mcdrl_lab.data.site_index import (
    dropped_values,
    index_text,
    merge_rows,
    read_index,
)
from mcdrl_lab.errors import ConversionError

from .conversion_report import (
    between_sites,
    between_sites_markdown,
    json_text,
    markdown_text,
)
from .site_building import BuiltSite

REPORTS = 'reports'
_BETWEEN = 'between_sites'


@dataclass(frozen=True)
class Outcome:
    """Result of converting a site.

    Args:
        state: ``'written'``, ``'up to date'`` (nothing changed), ``'renewed'`` (images
            and masks unchanged, index or report rewritten) or ``'refused'``.
        report: Its report.
        report_file: The report's Markdown file.
        dropped: User-filled values that the index lost, one line per column.
    """

    state: str
    report: dict[str, Any]
    report_file: Path
    dropped: Sequence[str] = ()


def refuse(built: Sequence[BuiltSite], out: Path) -> list[Outcome]:
    """Write reports of the problems; sites in the output folder do not change.

    Args:
        built: The sites, with their reports.
        out: Output folder.

    Returns:
        One outcome per site.
    """
    outcomes = []
    for site in built:
        file = out / REPORTS / f'{site.found.site}.refused.md'
        put_text(json_text(site.report), file.with_suffix('.json'))
        put_text(markdown_text(site.report, refused=True), file)
        outcomes.append(Outcome('refused', site.report, file))
    return outcomes


def publish(built: Sequence[BuiltSite], out: Path, overwrite: bool) -> list[Outcome]:
    """Move sites into the output folder, unless they are up to date.

    Args:
        built: The sites, with their reports.
        out: Output folder.
        overwrite: Whether existing sites that differ may be replaced.

    Returns:
        One outcome per site.

    Raises:
        ConversionError: A site exists, differs, and may not be replaced; or the
            index cannot be read. Nothing is changed then.
    """
    if not built:
        return []
    index = out / INDEX_FILE
    rows = read_index(index) if index.is_file() else []
    differing = {
        site.found.site: _differing(site, rows, out, overwrite) for site in built
    }
    outcomes = []
    for site in built:
        name = site.found.site
        files = differing[name]
        merged = merge_rows(rows, name, site.rows, _changed_images(site, files))
        dropped = dropped_values(rows, merged, name)
        if files is None or files:
            put_folder(site.folder, out / name)
        rows = merged
        renewed = put_text(index_text(rows), index)
        file = out / REPORTS / f'{name}.md'
        renewed |= put_text(json_text(site.report), file.with_suffix('.json'))
        renewed |= put_text(markdown_text(site.report, refused=False), file)
        for ending in ('.refused.json', '.refused.md'):
            file.with_suffix(ending).unlink(missing_ok=True)
        written = files is None or files
        state = 'written' if written else 'renewed' if renewed else 'up to date'
        outcomes.append(Outcome(state, site.report, file, dropped))
    _compare_sites({row['site'] for row in rows}, out)
    return outcomes


def _changed_images(site: BuiltSite, files: Sequence[str] | None) -> set[str]:
    """Images that changed or whose masks changed, as paths in the index."""
    name, differing = site.found.site, {f'{site.found.site}/{f}' for f in files or ()}
    return {
        row['image']
        for row in site.rows
        if row['image'] in differing or row['mask'] in differing
    } | {file for file in differing if file.startswith(f'{name}/images/')}


def _differing(
    site: BuiltSite, rows: Sequence[dict[str, str]], out: Path, overwrite: bool
) -> list[str] | None:
    """Files of the site that differ from the existing one; None if there is none.

    Raises:
        ConversionError: It exists, differs, and may not be replaced.
    """
    name = site.found.site
    target = out / name
    if not target.exists():
        return None
    differing = differences(site.folder, target)
    what = f'{len(differing)} files, such as {differing[:3]}' if differing else ''
    old = [row for row in rows if row['site'] == name]
    # Values that a user filled in may differ: merging keeps them.
    if not differing and old and merge_rows(old, name, site.rows) != old:
        what = f'its rows in {INDEX_FILE}'
    if not what:
        return []
    if not (out / REPORTS / f'{name}.json').is_file():
        raise ConversionError(
            f'{target} already exists and was not made by a converter. Move it away, '
            'or choose another --out.'
        )
    if not overwrite:
        raise ConversionError(
            f'{target} already exists and would change: {what}. Replace it with '
            '--overwrite, or choose another --out.'
        )
    return differing


def _compare_sites(sites: set[str], out: Path) -> None:
    """Write the report on images that occur at several sites."""
    fingerprints, without = {}, []
    for site in sorted(sites):
        try:
            report = read_json(out / REPORTS / f'{site}.json')
            found = report['fingerprints'].items()
            fingerprints[site] = {name: Fingerprint(*texts) for name, texts in found}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            without.append(site)
    if len(fingerprints) > 1:
        report = between_sites(fingerprints, without)
        file = out / REPORTS / f'{_BETWEEN}.md'
        put_text(json_text(report), file.with_suffix('.json'))
        put_text(between_sites_markdown(report), file)
