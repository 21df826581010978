"""Masks of images that were made of others: ignored pixels stay ignored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mcdrl_common.mask_files import IGNORED
from mcdrl_common.site_files import CLASSES_FILE
from mcdrl_common.verification.entry import Entry

_ANY_LESION = 'lesion'


def mask_of(labels: np.ndarray, entry: Entry) -> np.ndarray:
    """The mask of an image that was made of another.

    Args:
        labels: (H, W) uint8, as read from the other's mask.
        entry: The other.

    Returns:
        (H, W) uint8, one value for lesions of all classes: 255, or 1 where masks of the
        site may say that a pixel does not count, which is 255 then.
    """
    lesion = (labels != 0) & (labels != IGNORED)
    if not _may_ignore(entry):
        return lesion.astype(np.uint8) * 255
    return np.where(labels == IGNORED, np.uint8(IGNORED), lesion.astype(np.uint8))


def note_classes(entry: Entry, folder: Path) -> None:
    """Write what the values of masks mean, where they are not 0 and 255.

    Args:
        entry: Any image of the site that others were made of.
        folder: Folder of the new site.
    """
    if not _may_ignore(entry):
        return
    lesions = set(entry.mask_format.lesion_classes.values())
    name = lesions.pop() if len(lesions) == 1 else _ANY_LESION
    values = {'0': 'background', '1': name, str(IGNORED): 'ignore'}
    text = json.dumps({'mask_values': values}, indent=1, ensure_ascii=False)
    (folder / CLASSES_FILE).write_text(text + '\n', encoding='utf-8')


def _may_ignore(entry: Entry) -> bool:
    return IGNORED in entry.mask_format.labels.values()
