"""Laryngoscope8: eight laryngeal diagnoses, with masks that the user brings."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mcdrl_common.findings import Finding
from mcdrl_lab.data.converters.decodings import BinaryDecoding
from mcdrl_lab.data.converters.input_files import FileTree
from mcdrl_lab.data.converters.masks import EmptyMask, FileMask
from mcdrl_lab.data.converters.pairing import ENDING, KEY, ROOT, match_masks
from mcdrl_lab.data.converters.source import FoundSite, Sample, Source
from mcdrl_lab.errors import ConversionError

_SITE = 'laryngoscope8'
_NORMAL = 'normal'
_CLASS = r'(?P<label>[^/]+)'
_MASK = re.compile(rf'{ROOT}masks/{_CLASS}/{KEY}{ENDING}', re.IGNORECASE)
_IMAGE = re.compile(rf'{ROOT}(?:images/)?{_CLASS}/{KEY}{ENDING}', re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ClassFolders(Source):
    """Images in a folder for each diagnosis, and masks in folders of these names.

    A lesion's class is its folder's name; images in the folder ``normal`` are free of
    lesions and need no mask.
    """

    sites = (_SITE,)

    def find(self, tree: FileTree) -> list[FoundSite]:
        """Pair images and masks.

        Args:
            tree: All files.

        Returns:
            The site, if any image lies in a class folder.

        Raises:
            ConversionError: No masks at all.
        """
        masks = {m[0]: m.groupdict('') for m in map(_MASK.fullmatch, tree) if m}
        images = {
            m[0]: m.groupdict('')
            for m in map(_IMAGE.fullmatch, tree)
            if m and m[0] not in masks
        }
        if not images:
            return []
        if not masks:
            raise ConversionError(
                f'no masks found among {len(images)} images: Laryngoscope8 is '
                'published with a diagnosis for each image and without masks. Draw '
                'or get masks and put them into masks/CLASS/NAME.png beside the class '
                'folders.'
            )
        normal = {p for p, m in images.items() if m['label'].casefold() == _NORMAL}
        labelled = {path: m for path, m in images.items() if path not in normal}
        classes = sorted({m['label'] for m in (labelled or images).values()})
        site = FoundSite(_SITE, tuple(classes), images=len(images), masks=len(masks))
        of_normal = {p for p, m in masks.items() if m['label'].casefold() == _NORMAL}
        site.notes += [
            Finding('unused mask', path, 'images in the folder normal need none')
            for path in sorted(of_normal)
        ]
        lesion_masks = {p: m for p, m in masks.items() if p not in of_normal}
        pairs = match_masks(labelled, lesion_masks, site.problems)
        for path, groups in images.items():
            name = f'{groups["label"]}_{groups["key"]}'
            if path in normal:
                site.samples.append(Sample(path, EmptyMask(), name))
            elif path in pairs:
                label = classes.index(groups['label']) + 1
                mask = FileMask(pairs[path], BinaryDecoding(label))
                site.samples.append(Sample(path, mask, name))
        return [site]


SOURCE = ClassFolders(
    title='Laryngoscope8 (Yin et al., 2021)',
    url='https://www.sciencedirect.com/science/article/pii/S0167865521002646 (ask the '
    'authors)',
    licence='as the authors grant it',
    layout='CLASS/NAME.jpg (or .png), eight classes of which one is called normal, and '
    'masks/CLASS/NAME.png, 0 and 255, for all but the normal ones.',
    checked=(
        'Nothing against real files. The published description names 3057 images of '
        '1950 patients with one of eight diagnoses each and no masks; users describe '
        'class folders, one of them "normal". Where masks come from is up to you. '
        'Patients are not known from the file names.'
    ),
)
