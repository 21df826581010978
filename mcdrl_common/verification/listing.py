"""The images and masks of a folder of sites."""

from __future__ import annotations

from pathlib import Path

from mcdrl_common import InputError
from mcdrl_common.classes_file import read_classes
from mcdrl_common.findings import Finding
from mcdrl_common.site_files import CLASSES_FILE, SiteFiles
from mcdrl_common.sites import NO_LESION, Site, SiteDataError, SiteFolders

from .entry import Entry, Listing, name_below


class VerificationError(InputError, ValueError):
    """There is nothing to verify; the message says what was expected."""


def list_sites(folders: SiteFolders, split: str, listing: Listing) -> None:
    """Add the images of some sites to a listing, with findings about their names.

    Args:
        folders: The sites.
        split: Their split: ``'train'``, ``'val'``, ``'test'`` or ``''``.
        listing: The listing.
    """
    root = folders.root
    for site in folders.sites:
        files = folders.site_files(site)
        folder = folders.folder(site)
        images = folder / site.img_dir
        if folders.max_images is not None:
            listing.sampled_sites.add(site.name)
        found = _name_findings(files, images, root)
        for one in found:
            listing.splits_of.setdefault(one.file, set()).add(split)
        # Several dataloaders may use the same site: report each finding once.
        listing.findings += [one for one in found if one not in listing.findings]
        listing.findings += _class_findings(folder, site, listing.findings)
        if not files.pairs:
            continue
        try:
            found = folders.indexed_images(site, files).findings
            listing.findings += [one for one in found if one not in listing.findings]
            samples = folders.site_samples(site, files)
        except SiteDataError as error:
            listing.findings.append(
                Finding('unusable data set', f'{split}: {site.name}', str(error))
            )
            continue
        listing.entries += [
            Entry(
                Path(sample['img_path']),
                Path(sample['seg_map_path']),
                site.name,
                split,
                sample['mask_format'],
                root,
            )
            for sample in samples
        ]


def _class_findings(folder: Path, site: Site, known: list[Finding]) -> list[Finding]:
    """Mask values to which converter and config give different classes."""
    names = site.mask_values or {}
    own = read_classes(folder)
    finding = Finding(
        'swapped classes',
        str(folder / CLASSES_FILE),
        f'says {own}, the config says {dict(names)}',
    )
    values = {name: value for value, name in own.items()}
    swapped = any(
        own.get(value) != name and name in values and values[name] != value
        for value, name in names.items()
        # If several values have one class, the config groups classes on purpose.
        if list(names.values()).count(name) == 1
    )
    return [finding] if swapped and finding not in known else []


def _name_findings(files: SiteFiles, images: Path, root: Path) -> list[Finding]:
    if not root.is_dir():
        detail = 'does not exist; data_root in the config names it'
        return [Finding('missing folder', str(root), detail)]
    if not images.is_dir():
        return [Finding('missing folder', str(images), 'does not exist')]
    findings = [
        Finding('missing mask', name_below(path, root), 'no mask of this name')
        for path in files.without_mask
    ]
    findings += [
        Finding('mask without image', name_below(path, root), 'no image of this name')
        for path in files.without_image
    ]
    findings += [
        Finding(
            'ambiguous name', name_below(path, root), f'one of several {path.stem!r}'
        )
        for path in files.shared
    ]
    if not files.pairs and not files.without_mask:
        findings.append(
            Finding('no images', name_below(images, root), 'the folder is empty')
        )
    return findings


def list_folder(root: Path) -> Listing:
    """List a folder of sites in the layout that the converters write.

    Args:
        root: Folder with ``<site>/images`` and ``<site>/masks``, and ``classes.json``
            beside them where masks hold class indices.

    Raises:
        VerificationError: No such folder, or no site in it.
    """
    if not root.is_dir():
        known = 'a file, not a folder of sites' if root.exists() else 'no such folder'
        raise VerificationError(f'{root}: {known}.')
    names = sorted(path.parent.name for path in root.glob('*/images') if path.is_dir())
    if not names:
        raise VerificationError(
            f'{root} holds no site: expected SITE/images/NAME.jpg and '
            'SITE/masks/NAME.png, as the converters write them (docs/datasets.md). '
            'For other layouts that new-project knows, verify the config it writes.'
        )
    listing = Listing()
    for name in names:
        try:
            values = read_classes(root / name)
            classes = [c for c in values.values() if c not in NO_LESION]
            site = Site.from_cfg(
                dict(name=name, lesion_classes=classes, mask_values=values)
                if classes
                else name
            )
            list_sites(SiteFolders(root, [site]), '', listing)
        except SiteDataError as error:
            listing.findings.append(Finding('unusable data set', name, str(error)))
    return listing
