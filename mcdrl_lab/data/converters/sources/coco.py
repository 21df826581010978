"""COCO-style JSON: polygons and run lengths for images anywhere in the input."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from posixpath import splitext
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote

from mcdrl_common.findings import Finding
from mcdrl_common.mask_format import IGNORED
from mcdrl_lab.data.converters.input_files import FileTree, ends_with
from mcdrl_lab.data.converters.json_lists import as_published, load
from mcdrl_lab.data.converters.masks import RegionMask
from mcdrl_lab.data.converters.path_rules import (
    NO_PATIENT,
    NO_SEQUENCE,
    PathRule,
    add_groups,
)
from mcdrl_lab.data.converters.regions import Region
from mcdrl_lab.data.converters.source import FoundSite, Sample, Source
from mcdrl_lab.errors import ConversionError


@dataclass(frozen=True, kw_only=True)
class CocoSource(Source):
    """Images and outlines listed in COCO-style JSON files.

    Images without an outline are free of lesions.

    Args:
        site: Name of the site.
        annotations: Annotation files, by the ends of their paths; empty for the only
            JSON file there is.
        images: Folder of the images; needed if their names alone are ambiguous.
        categories: Categories wanted, of which the first gets index 1; empty for all
            that occur.
        sequence: Finds the sequence in an image's path.
        patient: Finds the patient in an image's path.
    """

    site: str
    annotations: tuple[str, ...] = ()
    images: str = ''
    categories: tuple[str, ...] = ()
    sequence: PathRule = NO_SEQUENCE
    patient: PathRule = NO_PATIENT

    @property
    def sites(self) -> tuple[str, ...]:
        """The one site."""
        return (self.site,)

    def find(self, tree: FileTree) -> list[FoundSite]:
        """Read the lists and find the images.

        Args:
            tree: All files.

        Returns:
            The site.

        Raises:
            ConversionError: No annotation file, or one that is not in COCO's form.
        """
        lists = []
        for name in self._annotation_files(tree):
            with as_published(name):
                lists.append(_read_list(name, load(tree, name)))
        classes = self._classes(lists)
        site = FoundSite(self.site, classes)
        finder = _ImageFinder(tree, self.images)
        for content in lists:
            _add_samples(content, finder, site)
        _refuse_repeated(site)
        return [add_groups(site, tree, self.sequence, self.patient)]

    def _annotation_files(self, tree: FileTree) -> list[str]:
        there = [name for name in tree if name.lower().endswith('.json')]
        if not self.annotations:
            if len(there) != 1:
                if there:
                    with as_published(there[0]):
                        _refuse_other_forms(there[0], load(tree, there[0]))
                raise ConversionError(
                    f'{len(there)} JSON files found, such as {there[:3]}: name the '
                    'annotation files with --annotations.'
                )
            return there
        chosen = []
        for wanted in self.annotations:
            fitting = [name for name in there if ends_with(name, wanted)]
            if len(fitting) != 1:
                raise ConversionError(
                    f'--annotations {wanted}: expected one such file in the input, '
                    f'found {fitting or "none"}.'
                )
            chosen += fitting
        return chosen

    def _classes(self, lists: Sequence[_CocoList]) -> tuple[str, ...]:
        named = dict.fromkeys(name for c in lists for name in c.categories.values())
        if missing := [name for name in self.categories if name not in named]:
            raise ConversionError(
                f'--categories {missing}: expected some of {list(named)}.'
            )
        outlined = (some for c in lists for some in c.outlines.values())
        used = {name for some in outlined for name, _ in some}
        classes = self.categories or tuple(name for name in named if name in used)
        if not 0 < len(classes) < IGNORED:
            raise ConversionError(
                f'{len(classes)} categories with outlines; expected 1 to {IGNORED - 1}.'
            )
        return classes


def coco_source(site: str, **options: Any) -> CocoSource:
    """Describe images that JSON files list.

    Args:
        site: Name of the site.
        **options: The other arguments of :class:`CocoSource`.
    """
    return CocoSource(
        title=f'{site} (COCO-style JSON)',
        url='your own',
        licence='your own',
        layout='a COCO-style JSON file and the images it lists.',
        checked='Your own data: images and outlines as the JSON files list them.',
        site=site,
        **options,
    )


@dataclass(frozen=True)
class _CocoImage:
    file_name: str
    size: tuple[int, int] | None


@dataclass(frozen=True)
class _CocoList:
    """The content of one annotation file."""

    file: str
    images: Mapping[Any, _CocoImage]
    categories: Mapping[Any, str]
    outlines: Mapping[Any, Sequence[tuple[str, Any]]]


def _refuse_other_forms(file: str, content: Any) -> None:
    """Refuse labelme's files, and say how to convert them to COCO's form."""
    if isinstance(content, dict) and {'shapes', 'imagePath'} <= set(content):
        raise ConversionError(
            f"{file}: labelme's outlines of one image; expected one list of all images "
            "in COCO's form. labelme's example labelme2coco.py writes it, as do other "
            'programs that read labelme.'
        )


def _read_list(file: str, content: Any) -> _CocoList:
    _refuse_other_forms(file, content)
    parts = ('images', 'annotations', 'categories')
    if isinstance(content, dict) and (
        missing := [p for p in parts if p not in content]
    ):
        raise ConversionError(
            f"{file}: not COCO's form: {missing} missing; expected an object with "
            f'{", ".join(parts)}, found {list(content)[:6]}.'
        )
    categories = {c['id']: str(c['name']) for c in content['categories']}
    images: dict[Any, _CocoImage] = {}
    for entry in content['images']:
        if entry['id'] in images:
            raise ConversionError(f'{file}: image id {entry["id"]!r} appears twice.')
        # Some programs write null or 0 where they do not know the size.
        sized = entry.get('height') and entry.get('width')
        size = (int(entry['height']), int(entry['width'])) if sized else None
        images[entry['id']] = _CocoImage(str(entry['file_name']), size)
    outlines = defaultdict(list)
    for entry in content['annotations']:
        if entry['image_id'] not in images:
            raise ConversionError(
                f'{file}: annotation {entry.get("id")!r} refers to image '
                f'{entry["image_id"]!r}, which is not listed.'
            )
        category = entry.get('category_id')
        if category not in categories:
            raise ConversionError(
                f'{file}: annotation {entry.get("id")!r} has category {category!r}; '
                f'expected one of those listed, {categories}. Add the category to the '
                'list, or correct the annotation.'
            )
        name = categories[category]
        outlines[entry['image_id']].append((name, entry.get('segmentation')))
    return _CocoList(file, images, categories, dict(outlines))


def _add_samples(content: _CocoList, finder: _ImageFinder, site: FoundSite) -> None:
    for number, image in content.images.items():
        found, is_by_name = finder.find(image.file_name)
        outlines = content.outlines.get(number, ())
        site.masks += bool(outlines)
        if len(found) != 1:
            kind = 'ambiguous' if found else 'missing image'
            detail = f'listed in {content.file}, found {found or "nowhere"}'
            if found:
                detail += '; see --images'
            site.problems.append(Finding(kind, image.file_name, detail))
            continue
        if is_by_name:
            detail = f'taken for {image.file_name!r}, listed in {content.file}'
            site.notes.append(Finding('found by name', found[0], detail))
        site.images += 1
        regions = tuple(
            Region(site.lesion_classes.index(name) + 1, outline)
            for name, outline in outlines
            if name in site.lesion_classes
        )
        mask = RegionMask(content.file, regions, image.size)
        name = PurePosixPath(found[0]).stem
        site.samples.append(Sample(found[0], mask, name))


def _refuse_repeated(site: FoundSite) -> None:
    """Refuse images that are listed more than once: their outlines are ambiguous."""
    entries = defaultdict(list)
    for sample in site.samples:
        entries[sample.image].append(sample.mask.source)
    for image, files in entries.items():
        if len(files) > 1:
            detail = f'listed {len(files)} times, in {sorted(set(files))}'
            site.problems.append(Finding('ambiguous', image, detail))
    site.samples = [s for s in site.samples if len(entries[s.image]) == 1]
    site.samples.sort(key=lambda sample: sample.image)


class _ImageFinder:
    """Finds images by the ends of their paths, or else by their names alone."""

    def __init__(self, tree: FileTree, folder: str) -> None:
        self._by_name = defaultdict(list)
        for path in tree.images():
            if not folder or _lies_in(path, folder):
                self._by_name[_normalised_name(PurePosixPath(path).name)].append(path)

    def find(self, listed: str) -> tuple[list[str], bool]:
        """Find the images that a listed path may mean.

        Annotation programs may list a path on their server, a path inside a link, or a
        name whose suffix or accented letters another program has since changed.

        Args:
            listed: A path as the list has it.

        Returns:
            The images, and whether only their file names match.
        """
        ways = (listed, unquote(listed), unquote(listed).rpartition('?d=')[2])
        paths = [way.replace('\\', '/').removeprefix('./') for way in ways]
        alike: list[str] = []
        for path in paths:
            candidates = self._by_name[_normalised_name(PurePosixPath(path).name)]
            if found := [one for one in candidates if ends_with(one, path)]:
                return found, False
            alike = alike or candidates
        return alike, True


def _normalised_name(name: str) -> str:
    """A name with composed Unicode letters and its suffix in lower case."""
    stem, suffix = splitext(normalize('NFC', name))
    return stem + suffix.lower()


def _lies_in(path: str, folder: str) -> bool:
    return f'/{folder.strip("/")}/' in f'/{PurePosixPath(path).parent}/'
