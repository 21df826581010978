"""What a conversion found, for programs (JSON) and for people (Markdown)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mcdrl_common.image_copies import NEAR_BITS, Fingerprint

from .duplicates import exact_groups, near_groups
from .site_building import BuiltSite
from .source import Source

_SHOWN = 20


def site_report(
    source: Source, built: BuiltSite, inputs: Sequence[str], files: int
) -> dict[str, Any]:
    """Put together a site's report.

    Args:
        source: The data set.
        built: The converted site.
        inputs: Names of the folders and archives given.
        files: Number of image files in them, masks included.

    Returns:
        A dict that JSON can hold; it only depends on the data, not on the time.
    """
    found, rows, fingerprints = built.found, built.rows, built.fingerprints
    problems, notes = sorted(built.problems), sorted(built.notes)
    empty = [row['image'] for row in rows if not row['classes']]
    lesions = Counter(c for row in rows for c in row['classes'].split(';') if c)
    sizes = Counter(f'{row["height"]} x {row["width"]}' for row in rows)
    bad_files = {problem.file for problem in problems}
    return {
        'site': found.site,
        'dataset': source.title,
        'url': source.url,
        'licence': source.licence,
        'layout': source.layout,
        'checked': source.checked,
        'inputs': list(inputs),
        'lesion_classes': list(found.lesion_classes),
        'mask_values': {str(v): name for v, name in found.mask_values().items()},
        'counts': {
            'image files in the input': files,
            'images found': found.images,
            'masks found': found.masks,
            'good pairs': len(rows),
            'files with problems': len(bad_files),
            'empty masks': len(empty),
            'sequences': len({row['sequence'] for row in rows} - {''}),
            'patients': len({row['patient'] for row in rows} - {''}),
            **{f'images with {name}': count for name, count in sorted(lesions.items())},
        },
        'sizes (height x width)': dict(sorted(sizes.items())),
        'problems': [vars(problem) for problem in problems],
        'notes': [vars(note) for note in notes],
        'empty_masks': empty,
        'exact_duplicates': exact_groups(fingerprints),
        'near_duplicates': near_groups(fingerprints),
        'position_boxes': sorted(built.position_boxes),
        'fingerprints': {
            name: [one.content, one.perceptual]
            for name, one in sorted(fingerprints.items())
        },
    }


def json_text(report: Mapping[str, Any]) -> str:
    """The JSON file's content."""
    return json.dumps(report, indent=1, ensure_ascii=False) + '\n'


def markdown_text(report: Mapping[str, Any], refused: bool) -> str:
    """The Markdown file's content.

    Args:
        report: As :func:`site_report` makes it.
        refused: Whether nothing was written because of the problems.
    """
    parts = [f'# {report["site"]}: {report["dataset"]}', '']
    if refused:
        parts += [
            '**Nothing was written.** Correct the problems below, or run again with '
            '`--skip-bad` to leave these files out.',
            '',
        ]
    parts += _table({**report['counts'], **_sizes(report)})
    parts += _problems(report['problems'], refused)
    parts += _notes(report['notes'])
    parts += _section('Empty masks (images without lesion)', report['empty_masks'])
    exact = [' = '.join(group) for group in report['exact_duplicates']]
    parts += _section('Exact duplicates (same pixels)', exact)
    near = [', '.join(group) for group in report['near_duplicates']]
    parts += _section(
        f'Near duplicates (perceptual hashes that differ in at most {NEAR_BITS} of 255 '
        'bits; usually frames of one video)',
        near,
    )
    parts += _section(
        'Green position box burned in, left as it is (a model can learn it as a sign '
        'of the site)',
        report['position_boxes'],
    )
    if not refused:
        parts += ['## In a config', '', '```python', _config_entry(report), '```', '']
    parts += [
        '## About the data set',
        '',
        f'- From: {report["url"]}',
        f'- Terms: {report["licence"]}',
        f'- Files expected: {report["layout"]}',
        f'- Checked: {report["checked"]}',
        '- Images in JPEG and PNG are byte for byte the originals: dates, text and '
        'boxes burned into them are still there.',
    ]
    return '\n'.join(parts) + '\n'


def _sizes(report: Mapping[str, Any]) -> dict[str, int]:
    sizes = report['sizes (height x width)']
    if len(sizes) > _SHOWN:
        return {'different sizes': len(sizes)}
    return {f'images of {size}': count for size, count in sizes.items()}


def _table(counts: Mapping[str, int]) -> list[str]:
    rows = [f'| {name} | {count} |' for name, count in counts.items()]
    return ['| | |', '|---|---:|', *rows, '']


def _problems(problems: Sequence[Mapping[str, str]], refused: bool) -> list[str]:
    if not problems:
        return []
    title = 'Problems' if refused else 'Files left out'
    rows = [
        f'- {problem["kind"]}: `{problem["file"]}`: {problem["detail"]}'
        for problem in problems
    ]
    return [f'## {title} ({len(problems)})', '', *rows, '']


def _notes(notes: Sequence[Mapping[str, str]]) -> list[str]:
    parts = []
    for kind in sorted({note['kind'] for note in notes}):
        of_kind = [n for n in notes if n['kind'] == kind]
        rows = [f'{note["file"]}: {note["detail"]}' for note in of_kind]
        parts += _section(f'Note: {kind}', rows)
    return parts


def _section(title: str, entries: Sequence[str]) -> list[str]:
    if not entries:
        return []
    rows = [f'- {entry}' for entry in entries[:_SHOWN]]
    if len(entries) > _SHOWN:
        rows.append(f'- and {len(entries) - _SHOWN} more, in the JSON file')
    return [f'## {title}: {len(entries)}', '', *rows, '']


def _config_entry(report: Mapping[str, Any]) -> str:
    entry = f'dict(name={report["site"]!r}, lesion_classes={report["lesion_classes"]!r}'
    values = {int(value): name for value, name in report['mask_values'].items()}
    if values == {0: 'background', 255: report['lesion_classes'][0]}:
        return f'{entry})'
    return f'{entry}, mask_values={values!r})'


def between_sites(
    fingerprints: Mapping[str, Mapping[str, Fingerprint]], without: Iterable[str]
) -> dict[str, Any]:
    """Find images that occur at more than one site, exactly or nearly.

    Args:
        fingerprints: Site -> converted image, relative to the index -> fingerprint.
        without: Sites whose fingerprints are not known.

    Returns:
        A dict that JSON can hold.
    """
    merged = {
        name: found for site in fingerprints.values() for name, found in site.items()
    }
    site_of = {name: site for site, names in fingerprints.items() for name in names}

    def across(groups: list[list[str]]) -> list[list[str]]:
        return [g for g in groups if len({site_of[name] for name in g}) > 1]

    return {
        'sites': sorted(fingerprints),
        'sites_without_fingerprints': sorted(without),
        'exact_duplicates': across(exact_groups(merged)),
        'near_duplicates': across(near_groups(merged)),
    }


def between_sites_markdown(report: Mapping[str, Any]) -> str:
    """The Markdown form of :func:`between_sites`."""
    parts = [
        '# Images at more than one site',
        '',
        f'Compared: {", ".join(report["sites"])}. A model trained on one of these '
        'sites has seen part of the other: hold both out together.',
        '',
    ]
    for title, key in (
        ('Exact duplicates', 'exact_duplicates'),
        ('Near duplicates', 'near_duplicates'),
    ):
        groups = [' = '.join(group) for group in report[key]]
        parts += _section(title, groups) or [f'## {title}: none', '']
    if report['sites_without_fingerprints']:
        names = ', '.join(report['sites_without_fingerprints'])
        parts += [f'Not compared, as they have no report: {names}.', '']
    return '\n'.join(parts)
