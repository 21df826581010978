"""Pairing of images and mask files by patterns of their paths."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mcdrl_common.findings import Finding

from .decodings import BinaryDecoding, Decoding
from .input_files import IMAGE_SUFFIXES, FileTree
from .masks import EmptyMask, FileMask, Mask
from .source import FoundSite, Sample, Source

ROOT = r'(?P<root>.*/|)'
"""Pattern: any folders above the data set; archives differ in what they include."""

KEY = r'(?P<key>[^/]+)'
"""Pattern: the part of a file's name that image and mask share."""

ENDING = rf'(?:{"|".join(re.escape(suffix) for suffix in IMAGE_SUFFIXES)})'
"""Pattern: the ending of an image file."""

SequenceRule = Callable[[FileTree], Callable[[Mapping[str, str]], str]]


@dataclass(frozen=True)
class Layout:
    """Where one site's images and masks lie.

    Patterns match whole paths relative to the input, ignoring case. An image and a
    mask belong together if all named groups that both patterns have are equal.

    Args:
        site: Name of the site.
        images: Pattern of its images.
        masks: Pattern of its masks; None if all images are free of lesions.
        lesion_free: Pattern of images that show no lesion and have no masks, whatever
            the pattern of the images says; None if there are none.
        name: Name of the converted files, a format string over the named groups.
        sequence: Name of the sequence, likewise.
        patient: Name of the patient, likewise.
    """

    site: str
    images: str
    masks: str | None
    lesion_free: str | None = None
    name: str = '{key}'
    sequence: str = ''
    patient: str = ''


@dataclass(frozen=True, kw_only=True)
class PatternSource(Source):
    """A data set of image files and mask files.

    Args:
        lesion_classes: Its lesion classes; the class of index 1 comes first.
        layouts: Where the files lie. If one site has several layouts, the first that
            has images is used: data sets are published in more than one form.
        decoding: How mask files are read.
        ignore: Whether masks may hold ignored pixels.
        sequence_rule: For sequences that are not part of the paths: takes all files
            and returns a function from the named groups to the sequence.
    """

    lesion_classes: tuple[str, ...]
    layouts: tuple[Layout, ...]
    decoding: Decoding = field(default_factory=BinaryDecoding)
    ignore: bool = False
    sequence_rule: SequenceRule | None = None

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites, in the order of the layouts."""
        return tuple(dict.fromkeys(layout.site for layout in self.layouts))

    def find(self, tree: FileTree) -> list[FoundSite]:
        """Pair images and masks.

        Args:
            tree: All files.

        Returns:
            The sites that have images or masks.
        """
        found: dict[str, FoundSite] = {}
        for layout in self.layouts:
            before = found.get(layout.site)
            if before is None or not before.images:
                site = self._pair(tree, layout)
                if site.images or (site.masks and before is None):
                    found[layout.site] = site
        return list(found.values())

    def _pair(self, tree: FileTree, layout: Layout) -> FoundSite:
        masks = _matches(tree, layout.masks) if layout.masks else {}
        images = _matches(tree, layout.images)
        lesion_free = _matches(tree, layout.lesion_free) if layout.lesion_free else {}
        images |= lesion_free
        images = {p: images[p] for p in tree if p in images and p not in masks}
        site = FoundSite(
            layout.site,
            self.lesion_classes,
            self.ignore,
            images=len(images),
            masks=len(masks),
        )
        free = images if layout.masks is None else lesion_free
        outlined = {path: groups for path, groups in images.items() if path not in free}
        mask_of = match_masks(outlined, masks, site.problems)
        pairs: dict[str, Mask] = {path: EmptyMask() for path in free if path in images}
        pairs |= {p: FileMask(mask, self.decoding) for p, mask in mask_of.items()}
        rule = self.sequence_rule(tree) if self.sequence_rule else None
        for path, own_groups in images.items():
            if path not in pairs:
                continue
            groups = {'root': '', **own_groups}
            sequence = rule(groups) if rule else layout.sequence.format(**groups)
            patient = layout.patient.format(**groups)
            name = layout.name.format(**groups)
            site.samples.append(Sample(path, pairs[path], name, sequence, patient))
        return site


def match_masks(
    images: Mapping[str, Mapping[str, str]],
    masks: Mapping[str, Mapping[str, str]],
    problems: list[Finding],
) -> dict[str, str]:
    """Find each image's mask.

    Args:
        images: Path of each image -> its named groups.
        masks: Path of each mask -> its named groups; only groups that images and masks
            both have are compared.
        problems: Images without mask, masks without image, and ambiguous files are
            added here.

    Returns:
        Path of the image -> path of its mask, in the order of the images.
    """
    shared = _shared_groups(images, masks)
    images_of, masks_of = _by_key(images, shared), _by_key(masks, shared)
    pairs = {}
    for key, paths in images_of.items():
        candidates = masks_of.get(key, [])
        if len(paths) > 1 or len(candidates) > 1:
            detail = (
                f'cannot tell which images and masks match: {paths} and {candidates}'
            )
            problems += [Finding('ambiguous', path, detail) for path in paths]
        elif candidates:
            pairs[paths[0]] = candidates[0]
        else:
            detail = (
                'no mask found; an image without a lesion needs an empty one. The '
                'source folder writes empty masks for the images of --lesion-free'
            )
            problems.append(Finding('missing mask', paths[0], detail))
    for key, paths in masks_of.items():
        if key not in images_of:
            detail = 'no image found for this mask'
            problems += [Finding('missing image', path, detail) for path in paths]
    return pairs


def _matches(tree: FileTree, pattern: str) -> dict[str, dict[str, str]]:
    regex = re.compile(pattern, re.IGNORECASE)
    matches = ((path, regex.fullmatch(path)) for path in tree)
    return {path: match.groupdict('') for path, match in matches if match}


def _shared_groups(*sides: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    names = [set(next(iter(side.values()))) for side in sides if side]
    return tuple(sorted(set.intersection(*names))) if names else ()


def _by_key(
    paths: Mapping[str, Mapping[str, str]], shared: tuple[str, ...]
) -> dict[tuple[str, ...], list[str]]:
    by_key = defaultdict(list)
    for path, groups in paths.items():
        by_key[tuple(groups[name] for name in shared)].append(path)
    return by_key
