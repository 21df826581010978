"""BM-BronchoLC: lung cancer lesions, bronchoscopy, Hanoi."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from mcdrl_common.findings import Finding
from mcdrl_lab.data.converters.input_files import FileTree
from mcdrl_lab.data.converters.json_lists import as_published, load
from mcdrl_lab.data.converters.masks import RegionMask
from mcdrl_lab.data.converters.regions import Region
from mcdrl_lab.data.converters.source import FoundSite, Sample, Source
from mcdrl_lab.errors import ConversionError

_SITE = 'bm_broncholc'
_OBJECTS = 'objects.json'
_LABELS = 'labels.json'
_ANNOTATIONS = ('annotation.json', 'annotations.json')

# Label names as published, misspelt ones included -> lesion class.
_LESIONS = {
    'mucosal infiltration': 'mucosal infiltration',
    'mucosal edema of carina': 'mucosal edema of carina',
    'vascular growth': 'vascular growth',
    'muscosal erythema': 'mucosal erythema',
    'mucosal erythema': 'mucosal erythema',
    'tumor': 'tumor',
    'anthrocosis': 'anthracosis',
    'anthracosis': 'anthracosis',
    'stenosis': 'stenosis',
}
_CLASSES = tuple(dict.fromkeys(_LESIONS.values()))
_LANDMARKS = frozenset(
    {
        'vocal cords',
        'main carina',
        'intermediate bronchus',
        'right superior lobar bronchus',
        'right inferior lobar bronchus',
        'right middle lobar bronchus',
        'left inferior lobar bronchus',
        'left superior lobar bronchus',
        'right main bronchus',
        'left main bronchus',
        'trachea',
    }
)


@dataclass(frozen=True, kw_only=True)
class BronchoLC(Source):
    """Frames listed in ``objects.json``, outlined in ``annotation.json``."""

    sites = (_SITE,)

    def find(self, tree: FileTree) -> list[FoundSite]:
        """Read the lists of every group of patients.

        Args:
            tree: All files.

        Returns:
            The site, if there is a group.

        Raises:
            ConversionError: A list is missing or not as published.
        """
        site = FoundSite(_SITE, _CLASSES)
        folders = [
            str(PurePosixPath(name).parent)
            for name in tree
            if PurePosixPath(name).name == _OBJECTS
        ]
        images = {str(PurePosixPath(n).with_suffix('')): n for n in tree.images()}
        for folder in folders:
            _read_group(tree, folder, images, site)
        return [site] if folders else []


def _read_group(
    tree: FileTree, folder: str, images: dict[str, str], site: FoundSite
) -> None:
    """Add the frames of one folder, as ``Lung_cancer``."""
    source, regions = _read_regions(tree, folder)
    objects = _inside(folder, _OBJECTS)
    site.masks += len(regions)
    seen = set()
    with as_published(objects):
        frames = list(_frames(load(tree, objects)))
    for patient, video, frame in frames:
        stem = _inside(folder, f'imgs/{patient}/{video}/{frame}')
        image = images.get(stem)
        seen.add(frame)
        site.images += image is not None
        if frame not in regions:
            if image is not None:
                detail = 'no lesion outlined, perhaps not annotated; left out'
                site.notes.append(Finding('no outline', image, detail))
        elif image is None:
            detail = f'no image found for this entry of {source}'
            site.problems.append(Finding('missing image', f'{stem}.png', detail))
        else:
            mask = RegionMask(source, tuple(regions[frame]))
            site.samples.append(Sample(image, mask, frame, video, patient))
    for frame in regions.keys() - seen:
        detail = f'outlined image {frame!r} is not listed in {objects}'
        site.problems.append(Finding('missing image', f'{source}: {frame}', detail))


def _frames(objects: Any) -> Iterator[tuple[str, str, str]]:
    for patient in objects:
        for video in patient['videos']:
            for image in video['images']:
                yield str(patient['id']), str(video['video_id']), str(image['image_id'])


def _read_regions(tree: FileTree, folder: str) -> tuple[str, dict[str, list[Region]]]:
    """Path of the annotations, and the lesion outlines of each frame."""
    candidates = [_inside(folder, name) for name in _ANNOTATIONS]
    source = next((name for name in candidates if name in tree), None)
    labels = _inside(folder, _LABELS)
    if source is None or labels not in tree:
        raise ConversionError(
            f'{folder}: expected {_LABELS} and {_ANNOTATIONS[0]} beside {_OBJECTS}.'
        )
    with as_published(labels):
        names = {entry['id']: entry['name'] for entry in load(tree, labels)}
    unknown = sorted(n for n in names.values() if not _is_known(n))
    if unknown:
        raise ConversionError(
            f'{labels}: {unknown} are neither lesions nor landmarks as published.'
        )
    regions = defaultdict(list)
    with as_published(source):
        for entry in load(tree, source):
            for label in entry['label_ids']:
                lesion = _LESIONS.get(names[label].strip().lower())
                if lesion:
                    outline = [v for p in entry['data'] for v in (p['x'], p['y'])]
                    region = Region(_CLASSES.index(lesion) + 1, [outline])
                    regions[str(entry['object_id'])].append(region)
    return source, dict(regions)


def _is_known(name: str) -> bool:
    name = name.strip().lower()
    return name in _LESIONS or name in _LANDMARKS


def _inside(folder: str, name: str) -> str:
    return str(PurePosixPath(folder, name))


SOURCE = BronchoLC(
    title='BM-BronchoLC (Vu et al., Scientific Data 2024)',
    url='https://doi.org/10.1038/s41597-024-03145-y (figshare: the archives of '
    'both groups of patients, given together)',
    licence='see figshare; the paper is CC BY 4.0',
    layout='Lung_cancer/ and Non_lung_cancer/, each with objects.json, labels.json, '
    'annotation.json and imgs/PATIENT/VIDEO/IMAGE.png.',
    checked=(
        'Nothing against real files. Folders, keys of the JSON files, label names and '
        'polygons in pixels against the code that the authors published and a public '
        'loader. That an entry of objects.json is a patient is an inference. Frames '
        'without an outlined lesion are left out, as the authors do: it is not '
        'documented whether they were annotated.'
    ),
)
