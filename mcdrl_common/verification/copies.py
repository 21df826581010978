"""Copies and near copies of images in different splits or sites."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mcdrl_common.findings import Finding
from mcdrl_common.image_copies import near_pairs_between

from .entry import Entry
from .facts import Facts

_BORDERS = (
    ('train', 'test', 'near copy across the test border'),
    ('val', 'test', 'near copy across the test border'),
    ('train', 'val', 'near copy across the validation border'),
)


def same_files(entries: Sequence[Entry]) -> list[Finding]:
    """Files that are in two splits, compared by path.

    Args:
        entries: All images with their masks.
    """
    uses: dict[Path, list[Entry]] = defaultdict(list)
    for entry in entries:
        uses[entry.image].append(entry)
    findings = []
    for same in uses.values():
        splits = {entry.split for entry in same}
        if len(splits) > 1:
            kind = _split_kind(splits, 'same file')
            detail = f'in {" and ".join(sorted(splits))}'
            findings.append(Finding(kind, same[0].name, detail))
    return findings


def find_copies(entries: Sequence[Entry], facts: Mapping[Path, Facts]) -> list[Finding]:
    """Images with equal pixels in different splits or sites.

    Args:
        entries: All images with their masks.
        facts: Facts of the images.
    """
    groups: dict[str, dict[Path, list[Entry]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        if content := facts[entry.image].get('content'):
            groups[content][entry.image].append(entry)
    findings = []
    for files in groups.values():
        if len(files) < 2:
            continue
        first, *others = sorted(path for path in files)
        splits = {e.split for path in files for e in files[path]}
        sites = {e.site for path in files for e in files[path]}
        # The same path in two splits is reported by same_files.
        if len(splits) > 1:
            kind = _split_kind(splits, 'copy')
        else:
            kind = 'copy at two sites' if len(sites) > 1 else 'copy within a site'
        detail = ' = '.join(placed(files[path][0]) for path in others)
        findings.append(Finding(kind, placed(files[first][0]), f'= {detail}'))
    return findings


def find_near_copies(
    entries: Sequence[Entry], facts: Mapping[Path, Facts]
) -> list[Finding]:
    """Images that look alike, mirrored ones too, in different splits or sites.

    Args:
        entries: All images with their masks.
        facts: Facts of the images.
    """
    by_split = defaultdict(list)
    for entry in entries:
        if 'look' in facts[entry.image]:
            by_split[entry.split].append(entry)
    findings: list[Finding] = []
    for first, second, kind in _BORDERS:
        findings += _near(kind, by_split[first], by_split[second], facts)
    by_site = defaultdict(list)
    for entry in by_split['']:
        by_site[entry.site].append(entry)
    sites = sorted(by_site)
    for number, site in enumerate(sites):
        others = [entry for other in sites[number + 1 :] for entry in by_site[other]]
        findings += _near('near copy at two sites', by_site[site], others, facts)
    return findings


def _near(
    kind: str,
    first: Sequence[Entry],
    second: Sequence[Entry],
    facts: Mapping[Path, Facts],
) -> Iterator[Finding]:
    hashes = [[facts[e.image]['look'] for e in side] for side in (first, second)]
    for i, j, bits, turned in near_pairs_between(*hashes):
        one, other = first[i], second[j]
        same = facts[one.image]['content'] == facts[other.image]['content']
        if not same:
            how = f'{turned}, ' if turned else ''
            yield Finding(kind, one.name, f'{how}{bits} of 255 bits from {other.name}')


def _split_kind(splits: set[str], what: str) -> str:
    if 'train' in splits:
        return f'{what} in two splits'
    return 'test images choose the checkpoint'


def placed(entry: Entry) -> str:
    """An image's name with its split, if it has one.

    Args:
        entry: The image.
    """
    return f'{entry.name} ({entry.split})' if entry.split else entry.name
