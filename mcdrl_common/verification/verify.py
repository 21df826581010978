"""Verifies a data set, by its file names and file contents."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from mcdrl_common.findings import Finding
from mcdrl_common.mask_format import JPEG_RIPPLE

from .copies import find_copies, find_near_copies, same_files
from .entry import Entry, Listing, name_below
from .facts import Facts
from .facts_cache import FactsCache
from .kinds import KINDS
from .listing import VerificationError
from .reading import default_jobs, read_facts
from .rules import check_pair, is_faint, is_lossy, is_probably_inverted, lesion_classes
from .verification_report import Report


def verify(
    listing: Listing,
    full: bool = True,
    cache_dir: Path | None = None,
    jobs: int | None = None,
    allow: Collection[str] = (),
    closed: Collection[str] = (),
) -> Report:
    """Find all problems of a data set.

    Args:
        listing: Its images and masks.
        full: Whether to read the files, and not only their names.
        cache_dir: Folder of the cache of facts; None caches nothing.
        jobs: Number of reading processes; None takes every processor.
        allow: Kinds that are no problem here.
        closed: Splits whose files are not opened: cached facts are used, and other
            files are only listed.

    Raises:
        VerificationError: ``allow`` names an unknown kind, or a reading process was
            killed.
    """
    check_kinds(allow)
    begin = time.perf_counter()
    findings = listing.findings + same_files(listing.entries)
    read, unread, contents = 0, [], None
    if full:
        jobs = default_jobs() if jobs is None else jobs
        cache = FactsCache(cache_dir)
        facts, read = read_facts(listing.entries, cache, jobs, closed)
        known = [e for e in listing.entries if {e.image, e.mask} <= facts.keys()]
        unread = [e for e in listing.entries if e.image not in facts]
        contents = _contents(listing.entries, facts)
        findings += _file_findings(listing, known, facts)
    return Report(
        findings=findings,
        images=len({entry.image for entry in listing.entries}),
        masks=len({entry.mask for entry in listing.entries}),
        sites=len({entry.site for entry in listing.entries}),
        files_read=read,
        seconds=time.perf_counter() - begin,
        is_full=full,
        unread=len(unread),
        allowed=frozenset(allow),
        contents=contents,
    )


def _contents(entries: Sequence[Entry], facts: Mapping[Path, Facts]) -> str | None:
    """Digest of all images and masks by name; None if a file is not known."""
    files = {
        name_below(path, entry.root): facts.get(path, {}).get('content')
        for entry in entries
        for path in (entry.image, entry.mask)
    }
    if None in files.values():
        return None
    return hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()


def check_kinds(kinds: Collection[str]) -> None:
    """Refuse unknown kinds.

    Args:
        kinds: Kinds to be allowed.

    Raises:
        VerificationError: A kind is unknown; the message names it.
    """
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise VerificationError(
            f'allow={unknown}: unknown; the kinds of findings are {list(KINDS)}.'
        )


def _file_findings(
    listing: Listing, entries: Sequence[Entry], facts: Mapping[Path, Facts]
) -> list[Finding]:
    # Several dataloaders may use the same image: check each pair once.
    pairs = {(entry.image, entry.mask): entry for entry in entries}.values()
    found = [check_pair(e, facts[e.image], facts[e.mask]) for e in pairs]
    findings = list(dict.fromkeys(one for some in found for one in some))
    # A small sample of a site's images may have no lesion by chance.
    whole = [e for e in entries if e.site not in listing.sampled_sites]
    findings += _lesion_free_sites(whole, facts)
    findings += _inverted_sites(entries, facts)
    findings += _faint_sites(entries, facts)
    findings += find_copies(entries, facts)
    findings += find_near_copies(entries, facts)
    return findings


def _inverted_sites(
    entries: Sequence[Entry], facts: Mapping[Path, Facts]
) -> list[Finding]:
    """Sites where more than half of the masks with a lesion look inverted."""
    with_lesion: dict[str, set[Path]] = defaultdict(set)
    inverted: dict[str, set[Path]] = defaultdict(set)
    for entry in entries:
        mask = facts[entry.mask]
        if lesion_classes(entry, mask):
            with_lesion[entry.site].add(entry.mask)
        if is_probably_inverted(entry, mask):
            inverted[entry.site].add(entry.mask)
    return [
        Finding(
            'inverted masks',
            site,
            f'{len(masks)} of {len(with_lesion[site])} masks with a lesion show it in '
            'most of their pixels and of their border',
        )
        for site, masks in inverted.items()
        if 2 * len(masks) > len(with_lesion[site])
    ]


def _faint_sites(
    entries: Sequence[Entry], facts: Mapping[Path, Facts]
) -> list[Finding]:
    """Sites whose JPEG masks show no lesion, but are not black."""
    faint: dict[str, set[Path]] = defaultdict(set)
    with_lesion = set()
    for entry in entries:
        mask = facts[entry.mask]
        if is_faint(entry, mask):
            faint[entry.site].add(entry.mask)
        if is_lossy(entry) and lesion_classes(entry, mask):
            with_lesion.add(entry.site)
    return [
        Finding(
            'faint masks',
            site,
            f'{len(masks)} JPEG masks hold no value above {JPEG_RIPPLE} and are read '
            'as empty, and no JPEG mask shows a lesion',
        )
        for site, masks in faint.items()
        if site not in with_lesion
    ]


def _lesion_free_sites(
    entries: Sequence[Entry], facts: Mapping[Path, Facts]
) -> list[Finding]:
    masks = Counter(entry.site for entry in entries)
    is_free: dict[str, bool] = {}
    for entry in entries:
        # One lesion is enough; a mask that cannot be read may contain one.
        if is_free.get(entry.site, True):
            is_free[entry.site] = lesion_classes(entry, facts[entry.mask]) == ()
    return [
        Finding('lesion-free site', s, f'none of {masks[s]} masks shows a lesion')
        for s, free in is_free.items()
        if free
    ]
