"""Training masks whose lesions MMSegmentation's own loader reads as "ignore"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import mmcv
import numpy as np
from mmseg.datasets import BaseSegDataset
from mmseg.datasets.transforms import LoadAnnotations
from torch.utils.data import Dataset

from mcdrl_common.mask_format import IGNORED

_LOOKED_AT_FIRST = 64


def ignored_lesions(dataset: Dataset) -> str | None:
    """Message if all lesions of a data set's masks are ignored, else None.

    This happens if masks hold only 0 and 255: 255 is ignored. With
    ``reduce_zero_label``, as in stock configs of ADE20K, it happens if they hold only 0
    and 1: 0 is ignored, and 1 becomes the first class, the background.

    A training on such masks raises no error and learns only background. For most data
    sets a few masks show that they are right; all masks are read before the data set is
    reported.

    Args:
        dataset: The training data set, wrapped or not. Only mmseg data sets with
            ``LoadAnnotations`` and without a label map are checked.

    Returns:
        What is wrong and what to do.
    """
    for part in _stock_datasets(dataset):
        found = (part.get_data_info(i).get('seg_map_path') for i in range(len(part)))
        files = [file for file in found if file and Path(file).is_file()]
        some = files[:: max(1, len(files) // _LOOKED_AT_FIRST)]
        reduced = part.reduce_zero_label
        if not (_hold_no_label(some, reduced) and _hold_no_label(files, reduced)):
            continue
        if reduced:
            background = (part.metainfo.get('classes') or ('background',))[0]
            return (
                f'The {len(files)} training masks, such as {files[0]}, contain only '
                f'the values 0, 1 and {IGNORED}. reduce_zero_label=True ignores 0 and '
                f'turns 1 into the first class, {background!r}: no lesion would be '
                'learnt. Set reduce_zero_label=False in the data set and in its '
                'LoadAnnotations.'
            )
        return (
            f'The {len(files)} training masks, such as {files[0]}, contain only the '
            f'values 0 and {IGNORED}. LoadAnnotations ignores pixels of {IGNORED}: no '
            'lesion would be learnt. Write labels into the masks, 1 for the lesion, '
            "or read them with dataset=dict(type='EndoscopySiteDataset') and "
            'LoadLesionMask, for which 255 is lesion.'
        )
    return None


def _stock_datasets(dataset: Dataset) -> Iterator[BaseSegDataset]:
    """Data sets whose masks mmseg's own loader reads, without a label map."""
    if isinstance(dataset, BaseSegDataset):
        loads = [type(t) for t in getattr(dataset.pipeline, 'transforms', ())]
        if LoadAnnotations in loads and not dataset.label_map:
            yield dataset
        return
    for part in [*getattr(dataset, 'datasets', ()), getattr(dataset, 'dataset', None)]:
        if isinstance(part, Dataset):
            yield from _stock_datasets(part)


def _hold_no_label(files: Sequence[str], reduced: bool) -> bool:
    """Whether masks hold the value meant as lesion, and no other lesion label.

    Args:
        files: The masks.
        reduced: Whether ``reduce_zero_label`` is on: each value then means the class
            before it.
    """
    lesion = 1 if reduced else IGNORED
    # Read like mmseg's loader, which gives one-bit masks as 0 and 1.
    masks = (
        mmcv.imread(file, flag='unchanged', backend='pillow').astype(np.uint8)
        for file in files
    )
    values = set().union(*(np.unique(mask).tolist() for mask in masks))
    return {lesion} <= values <= {0, lesion, IGNORED}
