"""Images of a data set that are copies of each other, or look alike."""

from __future__ import annotations

from collections.abc import Mapping

from mcdrl_common.image_copies import Fingerprint, near_pairs_between


def exact_groups(fingerprints: Mapping[str, Fingerprint]) -> list[list[str]]:
    """Images with the same pixels.

    Args:
        fingerprints: Name of each image -> its fingerprint.

    Returns:
        Groups of two and more names, sorted.
    """
    groups: dict[str, list[str]] = {}
    for name, found in fingerprints.items():
        groups.setdefault(found.content, []).append(name)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def near_groups(fingerprints: Mapping[str, Fingerprint]) -> list[list[str]]:
    """Images that look alike, directly or through a chain of similar images.

    Args:
        fingerprints: Name of each image -> its fingerprint.

    Returns:
        Groups of two and more names, sorted. Groups that consist only of exact copies
        are left out.
    """
    names = sorted(fingerprints)
    # Every name starts as a group of its own; each pair merges two groups. SciPy's
    # connected components would take longer to import than everything else here.
    group_of = {name: [name] for name in names}
    hashes = [fingerprints[name].perceptual for name in names]
    for pair in near_pairs_between(hashes, hashes):
        other, group = sorted(
            (group_of[names[pair.first]], group_of[names[pair.second]]), key=len
        )
        if group is not other:
            group += other
            group_of.update(dict.fromkeys(other, group))
    groups = {id(group): sorted(group) for group in group_of.values()}
    return sorted(
        group
        for group in groups.values()
        if len({fingerprints[name].content for name in group}) > 1
    )
