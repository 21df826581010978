"""Sites on disk: folders of images and masks of one or several hospitals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mcdrl_common import InputError

from .image_index import INDEX_FILE, ImageIndex, ImageIndexError, IndexedImages
from .mask_format import IGNORED, MaskFormat
from .site_files import SiteFiles, find_site_files
from .site_splits import SPLITS, split_mask

TWO_CLASSES = ('background', 'lesion')
NO_LESION = ('background', 'ignore')
"""Classes of mask values that are no lesion."""


class SiteDataError(InputError, ValueError):
    """A site's files are not as expected; the message names them."""


def missing_background(values: Mapping, zero: Any = 0) -> str | None:
    """Message if what is usually the background is a lesion class, and nothing else is.

    Every pixel without a lesion would be a lesion then.

    Args:
        values: Value in the masks -> class.
        zero: The value that is usually the background.
    """
    name = values.get(zero, 'background')
    if name in NO_LESION or 'background' in values.values():
        return None
    return (
        f"calls {zero} {name!r}, and nothing 'background': it would be a lesion class. "
        f"If {name!r} is the background, call it 'background'."
    )


def is_list_of_names(value: Any) -> bool:
    """Whether a value can be a site's lesion classes.

    Args:
        value: Anything.
    """
    return isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value)


@dataclass(frozen=True)
class Site:
    """One hospital's images.

    Args:
        name: Name of the site, and of its folder unless ``folder`` is given.
        lesion_classes: Lesion classes that occur there, as the prompts name them.
        mask_values: Value in the mask files -> lesion class, ``'background'`` or
            ``'ignore'``. None for 0/255 masks.
        folder: Folder below the data root.
        img_dir: Image folder below the site's.
        mask_dir: Mask folder below the site's.
    """

    name: str
    lesion_classes: tuple[str, ...] = ('lesion',)
    mask_values: Mapping[int, str] | None = None
    folder: str | None = None
    img_dir: str = 'images'
    mask_dir: str = 'masks'

    @classmethod
    def from_cfg(cls, cfg: str | Mapping) -> Site:
        """Build from a name or a mapping of the arguments.

        Raises:
            SiteDataError: Unknown keys, no name, or contradictory values.
        """
        if isinstance(cfg, str):
            return cls(cfg)
        if not isinstance(cfg, Mapping):
            raise SiteDataError(f'sites: {cfg!r} is neither a name nor a dict.')
        unknown = sorted(set(cfg) - set(cls.__dataclass_fields__), key=str)
        if unknown or 'name' not in cfg:
            raise SiteDataError(
                f'sites: {dict(cfg)!r} lacks a name or has unknown keys {unknown}; '
                f'known keys are {list(cls.__dataclass_fields__)}.'
            )
        values = dict(cfg)
        if 'lesion_classes' in values:
            lesions = values['lesion_classes']
            if not is_list_of_names(lesions):
                raise SiteDataError(
                    f'sites: lesion_classes of {cfg["name"]!r} is {lesions!r}; give a '
                    'list of names.'
                )
            values['lesion_classes'] = tuple(lesions)
        if values.get('mask_values') is not None:
            values['mask_values'] = _mask_values(cfg['name'], values['mask_values'])
        site = cls(**values)
        if site.mask_values is not None:
            named = set(site.mask_values.values()) - set(NO_LESION)
            unlisted = sorted(named - set(site.lesion_classes))
            if unlisted:
                raise SiteDataError(
                    f'sites: mask_values of {site.name!r} name {unlisted}, which are '
                    f'not in its lesion_classes {list(site.lesion_classes)}.'
                )
        return site


def _mask_values(site: str, names: Any) -> dict[int, str]:
    try:
        values = {int(value): str(names[value]) for value in names}
    except (IndexError, OverflowError, TypeError, ValueError):
        raise SiteDataError(
            f'sites: mask_values of {site!r} is {names!r}; give a dict from numbers to '
            "classes, such as {0: 'background', 1: 'polyp'}."
        ) from None
    if missing := missing_background(values):
        raise SiteDataError(f'sites: mask_values of {site!r} {missing}')
    return values


def check_selection(sites: Sequence[Site], split: str, val_fraction: float) -> None:
    """Refuse invalid settings of sites and split.

    Args:
        sites: The sites of a data set.
        split: Part of the sites to use.
        val_fraction: Share of the validation part.

    Raises:
        SiteDataError: An unknown split, a share out of range, no site, or a repeated
            site.
    """
    if split not in SPLITS:
        raise SiteDataError(f'split={split!r} must be one of {SPLITS}.')
    if not 0 < val_fraction < 1:
        raise SiteDataError(f'val_fraction={val_fraction} must lie in (0, 1).')
    folders = [(site.folder or site.name, site.img_dir) for site in sites]
    if not folders or len(set(folders)) != len(folders):
        raise SiteDataError(
            f'sites must name at least one image folder, and none twice: {folders}.'
        )


def check_classes(classes: Sequence[str], ignore_index: int) -> None:
    """Refuse classes that do not fit the labels.

    Masks, losses, metrics and overlays all take label 0 as the background.

    Args:
        classes: Names of the labels.
        ignore_index: Label of ignored pixels.

    Raises:
        SiteDataError: The background is not the first class, a name is repeated, or
            ``ignore_index`` is the label of a class or not from 0 to 255.
    """
    names = list(classes)
    if names[:1] != ['background']:
        others = [name for name in names if name != 'background']
        raise SiteDataError(
            f"metainfo classes {names}: 'background' must be the first, as label 0 is "
            f'the background. Write classes={["background", *others]}, or call '
            f"{names[0]!r} 'background' if that is what it is."
        )
    if len(set(names)) != len(names):
        raise SiteDataError(f'metainfo classes {names}: a name appears twice.')
    if 0 <= ignore_index < len(names):
        raise SiteDataError(
            f'ignore_index={ignore_index} is the label of {names[ignore_index]!r} in '
            f'metainfo classes {names}; choose {len(names)} or more, such as 255.'
        )
    if not 0 <= ignore_index <= IGNORED:
        raise SiteDataError(
            f'ignore_index={ignore_index}: labels have 8 bits. Choose a number from '
            f'{len(names)} to {IGNORED}.'
        )


@dataclass(frozen=True)
class SiteFolders:
    """The folders and samples of a data set's sites.

    Args:
        root: Folder of all sites.
        sites: The sites.
        split: ``'all'``, ``'train'`` or ``'val'``. The validation part of a site is
            whole sequences if ``<root>/index.csv`` names them, else a contiguous block.
        val_fraction: Share of each site's images in its validation part, in (0, 1).
        max_images: Use only the first images of each site, for a quick trial.
        classes: Names of the labels, the background first. With the default classes
            every lesion is label 1.
        ignore_index: Label for mask values with the class ``'ignore'``.

    Raises:
        SiteDataError: An unknown split, a share out of range, no site, a repeated site,
            or classes that do not fit the labels.
    """

    root: Path
    sites: Sequence[Site]
    split: str = 'all'
    val_fraction: float = 0.2
    max_images: int | None = None
    classes: Sequence[str] = TWO_CLASSES
    ignore_index: int = 255

    def __post_init__(self) -> None:
        check_selection(self.sites, self.split, self.val_fraction)
        check_classes(self.classes, self.ignore_index)

    def samples(self) -> list[dict]:
        """All samples, site by site, in the order of their names.

        Raises:
            SiteDataError: A site's folder is missing or empty, or images lack a mask.
        """
        if not self.root.is_dir():
            raise SiteDataError(
                f'data_root={str(self.root)!r} is not a folder. Set MCDRL_DATA_ROOT, '
                'or data_root in the config, to the folder that holds the sites.'
            )
        samples = []
        for site in self.sites:
            files = self.site_files(site)
            _check_complete(files, self.folder(site), site)
            samples += self.site_samples(site, files)
        return samples

    def folder(self, site: Site) -> Path:
        """The folder of one of the sites.

        Args:
            site: One of ``sites``.
        """
        return self.root / (site.folder or site.name)

    def site_files(self, site: Site) -> SiteFiles:
        """List a site's files, whether or not they are complete.

        Args:
            site: One of ``sites``.
        """
        folder = self.folder(site)
        return find_site_files(folder / site.img_dir, folder / site.mask_dir)

    def site_samples(self, site: Site, files: SiteFiles) -> list[dict]:
        """The samples of a site that belong to this split.

        Args:
            site: One of ``sites``.
            files: Its files; images without mask are left out.

        Raises:
            SiteDataError: A class has no label, there are too few images to split, or
                the index cannot be read or does not name an image's patient.
        """
        mask_format = self._mask_format(site)
        images, masks = list(files.pairs), files.pairs.values()
        indexed = self.indexed_images(site, files)
        sequences = [indexed.groups.get(image.name) for image in images]
        if self.split != 'all' and indexed.cut:
            raise SiteDataError(f'site {site.name!r}: {indexed.cut}')
        samples: list[dict] = [
            dict(
                img_path=str(image),
                seg_map_path=str(mask),
                site=site.name,
                sequence=sequence,
                mask_format=mask_format,
                label_map=None,
                reduce_zero_label=False,
                seg_fields=[],
            )
            for image, mask, sequence in zip(images, masks, sequences)
        ]
        if self.split != 'all':
            keys = [seq or image.name for seq, image in zip(sequences, images)]
            try:
                in_val = split_mask(keys, self.val_fraction)
            except ValueError as error:
                raise SiteDataError(f'site {site.name!r}: {error}') from None
            wanted = self.split == 'val'
            samples = [s for s, val in zip(samples, in_val) if val == wanted]
        return samples[: self.max_images]

    def indexed_images(self, site: Site, files: SiteFiles) -> IndexedImages:
        """A site's images with their rows in the index.

        Args:
            site: One of ``sites``.
            files: Its files.
        """
        # An index may use the name of the site or of its folder.
        names = [site.name, *([site.folder] if site.folder else [])]
        return self.index.images_of(names, [*files.pairs, *files.without_mask])

    def _mask_format(self, site: Site) -> MaskFormat:
        classes = list(self.classes)
        if classes == list(TWO_CLASSES):
            label_of = dict.fromkeys(site.lesion_classes, 1)
        else:
            lacking = [c for c in site.lesion_classes if c not in classes]
            if lacking:
                raise SiteDataError(
                    f'site {site.name!r} has lesion classes {lacking} without a '
                    f'label in metainfo classes {classes}.'
                )
            label_of = {c: classes.index(c) for c in site.lesion_classes}
        names = site.mask_values
        if names is None:
            if len(site.lesion_classes) > 1:
                raise SiteDataError(
                    f'site {site.name!r} has several lesion classes '
                    f'{list(site.lesion_classes)} and 0/255 masks, which cannot tell '
                    'them apart. Give mask_values, or one site entry for each class.'
                )
            names = {0: 'background', 255: site.lesion_classes[0]}
        label_of = {**label_of, 'background': 0, 'ignore': self.ignore_index}
        return MaskFormat(
            lesion_classes={v: n for v, n in names.items() if n in site.lesion_classes},
            labels={value: label_of[name] for value, name in names.items()},
            binary=site.mask_values is None,
        )

    @cached_property
    def index(self) -> ImageIndex:
        """The index of all images, empty if there is none.

        Raises:
            SiteDataError: It cannot be read.
        """
        try:
            return ImageIndex.read(self.root / INDEX_FILE)
        except ImageIndexError as error:
            raise SiteDataError(str(error)) from None


def _check_complete(files: SiteFiles, folder: Path, site: Site) -> None:
    images = folder / site.img_dir
    if not images.is_dir():
        raise SiteDataError(f'site {site.name!r}: {images} is not a folder.')
    count = len(files.pairs) + len(files.without_mask)
    if not count:
        raise SiteDataError(f'site {site.name!r}: no images in {images}.')
    if files.without_mask:
        names = [path.name for path in files.without_mask]
        raise SiteDataError(
            f'site {site.name!r}: {len(names)} of {count} images have no mask of the '
            f'same name in {folder / site.mask_dir}: {names[:5]}. An image without '
            'a lesion needs an empty mask. python -m mcdrl_lab verify lists them all.'
        )
