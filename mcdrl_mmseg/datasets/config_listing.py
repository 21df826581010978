"""The images and masks of a config's data sets."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.registry import DefaultScope
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from mcdrl_common.config_datasets import LOADERS, plain_datasets
from mcdrl_common.findings import Finding
from mcdrl_common.mask_format import IGNORED, MaskFormat
from mcdrl_common.verification.entry import Entry, Listing
from mcdrl_common.verification.listing import VerificationError, list_sites

from .endoscopy_sites import EndoscopySiteDataset


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
        split, place = loader.partition('_')[0], f'{loader}.dataset'
        parts = list(plain_datasets((cfg.get(loader) or {}).get('dataset')))
        found = found or bool(parts)
        for number, part in enumerate(parts, start=1):
            where = f'{place}, part {number}' if len(parts) > 1 else place
            _list_part(part, split, where, listing)
    if not found:
        raise VerificationError(
            f'the config names no data set: expected a dataset in {", ".join(LOADERS)}.'
        )
    return listing


def _list_part(part: Mapping, split: str, where: str, listing: Listing) -> None:
    part = {**copy.deepcopy(dict(part)), 'pipeline': []}
    try:
        # Built without reading its files: missing files are reported below.
        with DefaultScope.overwrite_default_scope('mmseg'):
            dataset = DATASETS.build({**part, 'lazy_init': True})
        if isinstance(dataset, EndoscopySiteDataset):
            list_sites(dataset.folders, split, listing)
        elif isinstance(dataset, BaseSegDataset):
            listing.entries += _stock_entries(dataset, split)
    except Exception as error:
        # It may be any user's class, which can fail in any way.
        detail = ' '.join(f'{type(error).__name__}: {error}'.split())
        name = f'{part.get("type")} of {part.get("data_root")}: '
        listing.findings.append(Finding('unusable data set', where, name + detail))


def _stock_entries(dataset: BaseSegDataset, split: str) -> list[Entry]:
    """Images of any MMSegmentation data set other than ours."""
    dataset.full_init()
    count = len(dataset.metainfo['classes'])
    # With reduce_zero_label the background, 0, becomes 255 and the rest one less.
    labels = range(count + 1 if dataset.reduce_zero_label else count)
    values = dataset.label_map or labels
    # reduce_zero_label turns the background into 255 as well.
    ignored = {dataset.ignore_index, *([IGNORED] if dataset.reduce_zero_label else ())}
    mask_format = MaskFormat(
        lesion_classes={v: dataset.metainfo['classes'][v] for v in range(1, count)},
        labels={int(value): 0 for value in values} | dict.fromkeys(ignored, IGNORED),
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
