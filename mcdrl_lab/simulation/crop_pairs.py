"""Of each image a crop with a lesion and one without: as many healthy as not.

Public sites have few images without a lesion, so that nothing can go with there being
one. Both crops of a pair have one size, and come from one image: neither size nor
camera nor hospital says which is which.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import cv2
import numpy as np

from mcdrl_common.crop_positions import crop_positions
from mcdrl_common.findings import FileProblem
from mcdrl_common.image_files import opened
from mcdrl_common.verification.entry import Entry
from mcdrl_lab.data.lesion_masks import read_labels
from mcdrl_lab.data.output_folder import is_new, put_folder, work_folder
from mcdrl_lab.data.whole_sites import entries_of
from mcdrl_lab.errors import ConversionError
from mcdrl_lab.pictures import jpeg, shrink
from mcdrl_lab.simulation.kept_groups import keep_groups
from mcdrl_lab.simulation.kept_labels import mask_of, note_classes

KINDS = ('free', 'lesion')
"""Endings of the names of both crops."""

_SCALE = (0.4, 0.6)
_MIN_VIEW = 0.8
_TRIES = 4  # sizes
_LONGER_SIDE = 512  # of the image that is cropped, in pixels
_JPEG_QUALITY = 95


def write_crop_pairs(source: Path, out: Path, seed: int = 0) -> dict[str, int]:
    """Write the data set.

    Crops have 0.4 to 0.6 of the image's height and width. An image in which no pair
    of a size is found in four tries is left out.

    Args:
        source: Folder of sites as the converters write it.
        out: Output folder, in the same layout; lesions of all classes are 255, or 1
            where masks of the site may have ignored pixels, which are 255. Crops are
            of the sequence and patient of their image where it has an index, else of a
            sequence of their own.
        seed: Of sizes and places, which follow from it and an image's name.

    Returns:
        Site -> number of pairs.

    Raises:
        ConversionError: A site or an image that cannot be used, a site without any
            pair, or a folder that holds something else.
        MaskError: An unreadable mask.
    """
    sites: dict[str, list[Entry]] = {}
    for entry in entries_of(source):
        sites.setdefault(entry.site, []).append(entry)
    pairs: dict[str, int] = {}
    made: list[tuple[Entry, str]] = []
    with work_folder(out) as work:
        for site, entries in sorted(sites.items()):
            for name in ('images', 'masks'):
                (work / site / name).mkdir(parents=True)
            note_classes(entries[0], work / site)
            cut = [e for e in entries if _write_pair(e, work / site, seed)]
            pairs[site] = len(cut)
            made += [
                (entry, f'{site}/images/{Path(entry.image).stem}_{kind}.jpg')
                for entry in cut
                for kind in KINDS
            ]
            if not pairs[site]:
                raise ConversionError(
                    f'{source / site}: no image has room for a crop with a lesion and '
                    'one without. Leave the site out.'
                )
            if is_new(work / site, out / site):
                put_folder(work / site, out / site)
        keep_groups(source, out, made)
    return pairs


def _write_pair(entry: Entry, folder: Path, seed: int) -> bool:
    """Write both crops of an image; False where there is no such pair."""
    stem = Path(entry.image).stem
    name = f'{entry.site}/{stem}'
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    image, labels = _read(entry)
    windows = _draw_windows(generator, image, labels)
    for kind, window in zip(KINDS, windows):
        code = cv2.imencode('.png', mask_of(labels[window], entry))[1]
        (folder / 'masks' / f'{stem}_{kind}.png').write_bytes(code.tobytes())
        content = jpeg(image[window], _JPEG_QUALITY)
        (folder / 'images' / f'{stem}_{kind}.jpg').write_bytes(content)
    return bool(windows)


_Window = tuple[slice, slice]


def _draw_windows(
    generator: np.random.Generator, image: np.ndarray, labels: np.ndarray
) -> list[_Window]:
    """Two windows of one size, in the order of :data:`KINDS`, or none."""
    for _ in range(_TRIES):
        scale = generator.uniform(*_SCALE)
        height, width = (max(round(scale * side), 1) for side in labels.shape)
        allowed = [
            crop_positions(image, labels, (height, width), with_lesion, _MIN_VIEW)
            for with_lesion in (False, True)
        ]
        if all(each.any() for each in allowed):
            corners = [_draw_corner(generator, each) for each in allowed]
            return [
                (slice(top, top + height), slice(left, left + width))
                for top, left in corners
            ]
    return []


def _draw_corner(
    generator: np.random.Generator, allowed: np.ndarray
) -> tuple[int, int]:
    return divmod(int(generator.choice(np.flatnonzero(allowed))), allowed.shape[1])


def _read(entry: Entry) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) uint8 image, red first, and (H, W) uint8 labels of the same size."""
    try:
        with opened(entry.image, 'image') as file:
            image = shrink(np.asarray(file.convert('RGB')), _LONGER_SIDE)
    except FileProblem as problem:
        raise ConversionError(f'{entry.image}: {problem}') from None
    size = image.shape[1::-1]
    labels = cv2.resize(read_labels(entry), size, interpolation=cv2.INTER_NEAREST)
    return image, labels
