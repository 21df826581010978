"""Any folder of images with a folder of masks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from mcdrl_common.findings import Finding
from mcdrl_common.mask_format import IGNORED
from mcdrl_common.sites import NO_LESION, missing_background
from mcdrl_lab.data.converters.decodings import (
    OTHER_MASKS,
    BinaryDecoding,
    ColourMapDecoding,
    Decoding,
    LabelMapDecoding,
)
from mcdrl_lab.data.converters.input_files import FileTree
from mcdrl_lab.data.converters.pairing import ENDING, ROOT, Layout, PatternSource
from mcdrl_lab.data.converters.path_rules import (
    NO_PATIENT,
    NO_SEQUENCE,
    PathRule,
    add_groups,
)
from mcdrl_lab.data.converters.source import FoundSite
from mcdrl_lab.errors import ConversionError

Colour = tuple[int, int, int]
_SHOWN_SUFFIXES = 3


@dataclass(frozen=True)
class FolderOptions:
    """Where the files of a folder lie and what they mean.

    Args:
        site: Name of the site.
        images: Folder of the images below the input; ``'.'`` for the input itself.
        masks: Folder of the masks.
        mask_suffix: Text that masks' names have after those of images, as ``'_mask'``.
        lesion_class: The lesion class of 0/255 masks.
        mask_values: Value, or (red, green, blue), -> class, ``'background'`` or
            ``'ignore'``, for masks whose values or colours stand for classes; empty
            for 0/255 masks.
        lesion_free: Folder of images that show no lesion and have no masks; empty if
            there is none.
        sequence: Finds the sequence in an image's path.
        patient: Finds the patient in an image's path.
    """

    site: str
    images: str = 'images'
    masks: str = 'masks'
    mask_suffix: str = ''
    lesion_class: str = 'lesion'
    mask_values: Mapping[int | Colour, str] = field(default_factory=dict)
    lesion_free: str = ''
    sequence: PathRule = NO_SEQUENCE
    patient: PathRule = NO_PATIENT


@dataclass(frozen=True, kw_only=True)
class FolderSource(PatternSource):
    """A folder of masks.

    Args:
        options: Where the files lie and what they mean.
    """

    options: FolderOptions

    def find(self, tree: FileTree) -> list[FoundSite]:
        """Pair images and masks.

        Args:
            tree: All files.

        Returns:
            The site, if it has images or masks.

        Raises:
            ConversionError: No image has a mask, and the folder has no masks or masks
                with another suffix; or the folder of lesion-free images is empty.
        """
        self._check_lesion_free(tree)
        found = super().find(tree)
        for site in found:
            if site.images and not site.samples:
                self._refuse_suffix(tree)
            site.notes += self._other_masks(tree, site)
        rules = self.options.sequence, self.options.patient
        return [add_groups(site, tree, *rules) for site in found]

    def _check_lesion_free(self, tree: FileTree) -> None:
        pattern = self.layouts[0].lesion_free
        if pattern and not any(re.fullmatch(pattern, p, re.IGNORECASE) for p in tree):
            raise ConversionError(
                f'--lesion-free {self.options.lesion_free!r}: no image lies in such a '
                'folder. Expected the path of a folder below the input.'
            )

    def _other_masks(self, tree: FileTree, site: FoundSite) -> list[Finding]:
        """Note further masks of the images that are not read.

        If each lesion, or each of two lungs, has its own mask file, the lesions in
        unread files would silently become healthy tissue.
        """
        (layout,) = self.layouts
        folder, own = self.options.masks, self.options.mask_suffix
        known = [p for p in (layout.images, layout.masks, layout.lesion_free) if p]
        there = re.compile(rf'{ROOT}{_folder(folder)}.+{ENDING}', re.IGNORECASE)
        stems = {PurePosixPath(sample.image).stem for sample in site.samples}
        others: dict[str, list[str]] = {}
        for path in tree:
            if not there.fullmatch(path):
                continue
            if any(re.fullmatch(pattern, path, re.IGNORECASE) for pattern in known):
                continue
            suffix = _suffix(PurePosixPath(path).stem, stems)
            if suffix is not None:
                others.setdefault(suffix, []).append(path)
        return [
            Finding(
                OTHER_MASKS,
                paths[0],
                f'{len(paths)} masks end in {suffix!r}, besides those in {own!r}, and '
                'are not read. Lesions that they alone show count as healthy tissue: '
                'merge the masks of an image into one',
            )
            for suffix, paths in others.items()
        ]

    def _refuse_suffix(self, tree: FileTree) -> None:
        """Raise an error if there are no masks, or masks with other suffixes."""
        (layout,) = self.layouts
        folder, own = self.options.masks, self.options.mask_suffix
        images = re.compile(layout.images, re.IGNORECASE)
        masks = re.compile(rf'{ROOT}{_folder(folder)}.+{ENDING}', re.IGNORECASE)
        stems = {PurePosixPath(path).stem for path in tree if images.fullmatch(path)}
        there = [PurePosixPath(path).stem for path in tree if masks.fullmatch(path)]
        suffixes = Counter(
            suffix for stem in there if (suffix := _suffix(stem, stems)) is not None
        )
        suffixes.pop(own, None)
        if not there:
            raise ConversionError(
                f'--masks {folder!r}: no image lies in such a folder. Expected the '
                'path of a folder of masks below the input.'
            )
        if suffixes:
            shown = ', '.join(
                f'{suffix!r} ({count} files)'
                for suffix, count in suffixes.most_common(_SHOWN_SUFFIXES)
            )
            raise ConversionError(
                f'--mask-suffix {own!r}: no image has such a mask. Suffixes found in '
                f'{folder!r}: {shown}.'
            )


def _suffix(stem: str, images: Collection[str]) -> str | None:
    """What follows the image's name in a mask's name; None if no image fits."""
    for length in range(len(stem) - 1, 0, -1):
        if stem[:length] in images:
            return stem[length:]
    return '' if stem in images else None


def folder_source(options: FolderOptions) -> FolderSource:
    """Describe a folder of masks.

    Args:
        options: Where the files lie and what they mean.

    Raises:
        ConversionError: Options that contradict each other.
    """
    classes, decoding, ignore = _meaning(options)
    if options.lesion_free and _folder(options.lesion_free) == _folder(options.masks):
        raise ConversionError(
            f'--lesion-free and --masks are both {options.masks!r}: name the folder of '
            'the images that show no lesion.'
        )
    same_place = _folder(options.images) == _folder(options.masks)
    if same_place and not options.mask_suffix:
        raise ConversionError(
            f'--images and --masks are both {options.images!r}: distinguish '
            'masks from images with --mask-suffix.'
        )
    key = r'(?P<key>.+)'
    lesion_free, beside = None, ''
    if options.lesion_free:
        lesion_free = rf'{ROOT}{_folder(options.lesion_free)}{key}{ENDING}'
        beside = f'; {options.lesion_free}/NAME.jpg without masks'
    suffix = re.escape(options.mask_suffix)
    return FolderSource(
        title=f'{options.site} (a folder of masks)',
        url='your own',
        licence='your own',
        layout=f'{options.images}/NAME.jpg and '
        f'{options.masks}/NAME{options.mask_suffix}.png, in subfolders or not{beside} '
        '(--images and --masks name other folders).',
        checked='Your own data: pairing and masks as the options say.',
        lesion_classes=classes,
        decoding=decoding,
        ignore=ignore,
        options=options,
        layouts=(
            Layout(
                options.site,
                images=rf'{ROOT}{_folder(options.images)}{key}{ENDING}',
                masks=rf'{ROOT}{_folder(options.masks)}{key}{suffix}{ENDING}',
                lesion_free=lesion_free,
            ),
        ),
    )


def _folder(name: str) -> str:
    name = name.strip('/')
    return '' if name in ('', '.') else f'{re.escape(name)}/'


def _meaning(options: FolderOptions) -> tuple[tuple[str, ...], Decoding, bool]:
    """Lesion classes, decoding, and whether pixels may be ignored."""
    values = options.mask_values
    if not values:
        return (options.lesion_class,), BinaryDecoding(), False
    colours = {key: name for key, name in values.items() if isinstance(key, tuple)}
    numbers = {key: name for key, name in values.items() if isinstance(key, int)}
    if colours and numbers:
        raise ConversionError(
            f'--mask-values names values, {sorted(numbers)}, and colours, '
            f'{sorted(colours)}: give one of the two.'
        )
    # Classes are in the order of the values; of colours, in the order of the options.
    names = [*colours.values(), *(name for _, name in sorted(numbers.items()))]
    classes = tuple(dict.fromkeys(name for name in names if name not in NO_LESION))
    if not classes:
        raise ConversionError('--mask-values names no lesion class.')
    if missing := missing_background(values, (0, 0, 0) if colours else 0):
        raise ConversionError(f'--mask-values {missing}')
    labels = {'background': 0, 'ignore': IGNORED}
    labels |= {name: number for number, name in enumerate(classes, start=1)}
    ignored = 'ignore' in names
    if colours:
        by_colour = {key: labels[name] for key, name in colours.items()}
        return classes, ColourMapDecoding({(0, 0, 0): 0} | by_colour), ignored
    table = {0: 0} | {value: labels[name] for value, name in numbers.items()}
    return classes, LabelMapDecoding(table), ignored
