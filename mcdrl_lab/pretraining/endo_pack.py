"""The pack of labelled real endoscopic images, and its split into parts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mcdrl_common import InputError
from mcdrl_common.image_index import read_table

from .endo_words import NORMAL, POLYP

TRAIN, CHOOSE, HELD_OUT = 'train', 'choose', 'held_out'
"""Parts: trained on; used to choose options; only used for the final measurement."""

LABELS = {
    'polyp': POLYP,
    'normal mucosa': NORMAL,
    'bleeding': None,
    'no bleeding': None,
}
"""Label of the pack -> what is known about lesions."""

_READERS = 4


class PackError(InputError, RuntimeError):
    """Images or labels are missing; the message says where they were expected."""


@dataclass(frozen=True)
class PackImage:
    """A row of ``labels.csv``.

    Args:
        file: Path inside the pack.
        dataset: ``cp_child``, ``kvasir_seg`` or ``wcebleedgen``.
        label: Label in the pack.
        group: Images that must stay together.
        part: ``TRAIN``, ``CHOOSE`` or ``HELD_OUT``.
        mask: Path of the lesion mask, or empty.
        luminance: Mean luminance inside the field of view, 0 to 255.
        specular: Share of the field of view with specular reflections.
    """

    file: str
    dataset: str
    label: str
    group: str
    part: str
    mask: str
    luminance: float
    specular: float

    @property
    def kind(self) -> str:
        """``DATASET/LABEL``, the kinds that batches are composed of."""
        return f'{self.dataset}/{self.label}'


def part_of(group: str, dataset: str, split: str) -> str:
    """Part of a group; it does not depend on the rest of the pack.

    Args:
        group: Name of the group.
        dataset: Its data set. ``cp_child`` holds out exactly its own test split.
        split: The data set's own split, or empty.
    """
    bucket = int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) % 20
    if split == 'test' or (dataset != 'cp_child' and bucket < 4):
        return HELD_OUT
    return CHOOSE if bucket in (4, 5) else TRAIN


def read_entries(root: Path, without: Sequence[str] = ()) -> list[PackImage]:
    """Read the pack's table.

    Args:
        root: Folder of the pack.
        without: Data sets to leave out, as that of a hospital to test on.

    Raises:
        PackError: The table is missing or cannot be read, or a data set to leave out
            is not in it.
    """
    table = root / 'labels.csv'
    if not table.is_file():
        raise PackError(
            f'{table} is missing. Set --pretraining-root to the folder of the '
            'pretraining pack; the model card of mcdrl-endo-lite0 lists what it holds.'
        )
    try:
        _, rows = read_table(table)
        entries = [_entry(row) for row in rows]
    except KeyError as error:
        raise PackError(f'{table} has no column {error}.') from None
    except ValueError as error:
        raise PackError(f'{table}: a row is damaged: {error}.') from None
    known = {entry.dataset for entry in entries}
    unknown = sorted(set(without) - known)
    if unknown:
        raise PackError(
            f'--without: {table} has no data set {unknown}; it has {sorted(known)}.'
        )
    return [entry for entry in entries if entry.dataset not in without]


def _entry(row: dict[str, str]) -> PackImage:
    return PackImage(
        row['file'],
        row['dataset'],
        row['label'],
        row['group'],
        part_of(row['group'], row['dataset'], row['split']),
        row['mask'],
        float(row['luminance']),
        float(row['specular_fraction']),
    )


def read_image(path: Path) -> np.ndarray:
    """Read an image.

    Args:
        path: The file.

    Returns:
        (H, W, 3) uint8, red first.

    Raises:
        PackError: Not there, or no image.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise PackError(f'{path} is missing or not an image.')
    return np.ascontiguousarray(image[..., ::-1])


def squared(image: np.ndarray, side: int) -> np.ndarray:
    """Resize an image to a square, given its side in pixels, as the site configs do."""
    way = cv2.INTER_AREA if min(image.shape[:2]) > side else cv2.INTER_LINEAR
    return cv2.resize(image, (side, side), interpolation=way)


def read_mask(path: Path) -> np.ndarray:
    """Read a lesion mask.

    Args:
        path: The file.

    Returns:
        (H, W) uint8, 1 for lesion.

    Raises:
        PackError: Not there, or no image.
    """
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise PackError(f'{path} is missing or not an image.')
    return (mask > 127).astype(np.uint8)


@dataclass(frozen=True)
class Pack:
    """Images of one part in memory, in their stored size.

    Args:
        entries: n rows.
        images: n arrays (H, W, 3) uint8.
        masks: n arrays (H, W) uint8, or None for an image without a mask.
    """

    entries: list[PackImage]
    images: list[np.ndarray]
    masks: list[np.ndarray | None]

    def rows_of(self, kind: str) -> np.ndarray:
        """Row numbers of a kind, as ``cp_child/polyp``."""
        rows = [n for n, entry in enumerate(self.entries) if entry.kind == kind]
        return np.array(rows, np.int64)


def load_pack(root: Path, part: str, without: Sequence[str] = ()) -> Pack:
    """Read all images of a part.

    Args:
        root: Folder of the pack.
        part: ``TRAIN``, ``CHOOSE`` or ``HELD_OUT``.
        without: Data sets to leave out.

    Raises:
        PackError: A file is missing, or the part is empty.
    """
    entries = [entry for entry in read_entries(root, without) if entry.part == part]
    if not entries:
        raise PackError(f'{root} has no images of the part {part!r}.')

    def read(entry: PackImage) -> tuple[np.ndarray, np.ndarray | None]:
        image = read_image(root / entry.file)
        mask = read_mask(root / entry.mask) if entry.mask else None
        if entry.label == 'normal mucosa':
            mask = np.zeros(image.shape[:2], np.uint8)
        return image, mask

    with ThreadPoolExecutor(_READERS) as readers:
        images, masks = zip(*readers.map(read, entries))
    return Pack(entries, list(images), list(masks))
