"""The images and masks of a config's data sets, or of a folder of sites."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.registry import DefaultScope
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from mcdrl_mmseg.datasets.converters.building import CLASSES_FILE
from mcdrl_mmseg.datasets.converters.errors import Finding
from mcdrl_mmseg.datasets.endoscopy_sites import (
    EndoscopySiteDataset,
    Site,
    SiteDataError,
)
from mcdrl_mmseg.datasets.lesion_masks import MaskFormat
from mcdrl_mmseg.datasets.site_files import SiteFiles
from mcdrl_mmseg.protocols.folds import LOADERS, datasets

from .entry import Entry, Listing, shown

_IGNORED = 255


class VerificationError(ValueError):
    """There is nothing to verify; the message says what was expected."""


def list_config(cfg: Mapping[str, Any]) -> Listing:
    """List what a config trains, validates and tests on.

    Args:
        cfg: Experiment config.

    Raises:
        VerificationError: It has no data set.
    """
    listing = Listing()
    found = False
    for loader in LOADERS:
        split = loader.partition('_')[0]
        dataset = (cfg.get(loader) or {}).get('dataset')
        for number, part in enumerate(datasets(dataset)):
            if part.get('dataset') or part.get('datasets'):
                continue
            found = True
            _list_part(part, split, f'{loader}.dataset', number, listing)
    if not found:
        raise VerificationError(
            f'the config names no data set: expected a dataset in {", ".join(LOADERS)}.'
        )
    return listing


def _list_part(
    part: Mapping, split: str, place: str, number: int, listing: Listing
) -> None:
    where = f'{place}, part {number}' if number else place
    part = {**copy.deepcopy(dict(part)), 'pipeline': []}
    try:
        # Built without reading its files: what is missing is named here.
        with DefaultScope.overwrite_default_scope('mmseg'):
            dataset = DATASETS.build({**part, 'lazy_init': True})
        if isinstance(dataset, EndoscopySiteDataset):
            _list_sites(dataset, split, listing)
        elif isinstance(dataset, BaseSegDataset):
            listing.entries += _stock_entries(dataset, split)
    except Exception as error:
        # A class of anybody's: it may fail in any way.
        detail = ' '.join(f'{type(error).__name__}: {error}'.split())
        name = f'{part.get("type")} of {part.get("data_root")}: '
        listing.findings.append(Finding('unusable data set', where, name + detail))


def _list_sites(dataset: EndoscopySiteDataset, split: str, listing: Listing) -> None:
    root = Path(dataset.data_root or '.').expanduser()
    for site in dataset.sites:
        files = dataset.site_files(site)
        folder = root / (site.folder or site.name)
        images = folder / site.img_dir
        if dataset.max_images is not None:
            listing.sampled_sites.add(site.name)
        found = _name_findings(files, images, root)
        for one in found:
            listing.splits_of.setdefault(one.file, set()).add(split)
        # The loaders of one site would else say the same twice.
        listing.findings += [one for one in found if one not in listing.findings]
        listing.findings += _class_findings(folder, site, listing.findings)
        if not files.pairs:
            continue
        try:
            samples = dataset.site_samples(site, files)
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
    """Classes whose values the converter and the config name in another order."""
    names = site.mask_values or {}
    own = _read_classes(folder)
    finding = Finding(
        'swapped classes',
        str(folder / CLASSES_FILE),
        f'says {own}, the config {dict(names)}',
    )
    values = {name: value for value, name in own.items()}
    swapped = any(
        own.get(value) != name and name in values and values[name] != value
        for value, name in names.items()
        # Several values of one class are a grouping of the config's own.
        if list(names.values()).count(name) == 1
    )
    return [finding] if swapped and finding not in known else []


def _read_classes(folder: Path) -> dict[int, str]:
    """Value in the masks -> class, as a converter noted it; empty where not known."""
    file = folder / CLASSES_FILE
    if not file.is_file():
        return {}
    try:
        values = json.loads(file.read_text(encoding='utf-8'))['mask_values']
        return {int(value): str(name) for value, name in values.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SiteDataError(
            f'{file}: expected {{"mask_values": {{"0": "background", ...}}}}, as the '
            'converters write it.'
        ) from None


def _name_findings(files: SiteFiles, images: Path, root: Path) -> list[Finding]:
    if not root.is_dir():
        detail = 'is not there; data_root in the config names it'
        return [Finding('missing folder', str(root), detail)]
    if not images.is_dir():
        return [Finding('missing folder', str(images), 'is not there')]
    findings = [
        Finding('missing mask', shown(path, root), 'no mask of this name')
        for path in files.without_mask
    ]
    findings += [
        Finding('mask without image', shown(path, root), 'no image of this name')
        for path in files.without_image
    ]
    findings += [
        Finding('ambiguous name', shown(path, root), f'one of several {path.stem!r}')
        for path in files.shared
    ]
    if not files.pairs and not files.without_mask:
        findings.append(
            Finding('no images', shown(images, root), 'the folder is empty')
        )
    return findings


def _stock_entries(dataset: BaseSegDataset, split: str) -> list[Entry]:
    """Images of any other data set of MMSegmentation."""
    dataset.full_init()
    count = len(dataset.metainfo['classes'])
    # With reduce_zero_label the background, 0, becomes 255 and the rest one less.
    labels = range(count + 1 if dataset.reduce_zero_label else count)
    values = dataset.label_map or labels
    mask_format = MaskFormat(
        lesion_classes={v: dataset.metainfo['classes'][v] for v in range(1, count)},
        labels={**{int(value): 0 for value in values}, _IGNORED: _IGNORED},
        binary=False,
    )
    site = dataset.metainfo.get('site') or ''
    samples = (dataset.get_data_info(index) for index in range(len(dataset)))
    return [
        Entry(
            Path(sample['img_path']),
            Path(sample['seg_map_path']),
            sample.get('site') or site,
            split,
            mask_format,
        )
        for sample in samples
        if sample.get('seg_map_path')
    ]


def list_folder(root: Path) -> Listing:
    """List a folder of sites in the layout that the converters write.

    Args:
        root: Folder with ``<site>/images`` and ``<site>/masks``, and ``classes.json``
            beside them where masks hold class indices.

    Raises:
        VerificationError: No such folder, or no site in it.
    """
    if not root.is_dir():
        raise VerificationError(f'{root}: no such folder or config.')
    names = sorted(path.parent.name for path in root.glob('*/images') if path.is_dir())
    if not names:
        raise VerificationError(
            f'{root} holds no site: expected SITE/images/NAME.jpg and '
            'SITE/masks/NAME.png, as the converters write them (docs/datasets.md).'
        )
    listing = Listing()
    for name in names:
        try:
            values = _read_classes(root / name)
            classes = [c for c in values.values() if c not in ('background', 'ignore')]
            site = Site.from_cfg(
                dict(name=name, lesion_classes=classes, mask_values=values)
                if classes
                else name
            )
            dataset = EndoscopySiteDataset(
                [vars(site)], data_root=str(root), pipeline=[], lazy_init=True
            )
            _list_sites(dataset, '', listing)
        except SiteDataError as error:
            listing.findings.append(Finding('unusable data set', name, str(error)))
    return listing
