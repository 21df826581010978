"""From each image, one crop with a lesion and one without: both are equally frequent.

Public sites have few images without a lesion, so nothing can be correlated with the
presence of one. Both crops of a pair have the same size and come from the same image:
size, camera and hospital do not reveal which one has the lesion.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mcdrl_common.crop_positions import crop_positions
from mcdrl_common.verification.entry import Entry
from mcdrl_lab.data.lesion_masks import read_labels
from mcdrl_lab.data.output_folder import is_new, put_folder, work_folder
from mcdrl_lab.data.whole_sites import entries_by_site
from mcdrl_lab.errors import ConversionError
from mcdrl_lab.pictures import shrink
from mcdrl_lab.simulation.kept_groups import keep_groups
from mcdrl_lab.simulation.made_sites import MadeSite, generator_of, read_pixels

KINDS = ('free', 'lesion')
"""Suffixes of the names of the two crops."""

_SCALE = (0.4, 0.6)
_MIN_VIEW = 0.8
_TRIES = 4  # sizes tried for each image
_LONGER_SIDE = 512  # of the image that is cropped, in pixels


def write_crop_pairs(source: Path, out: Path, seed: int = 0) -> dict[str, int]:
    """Write the data set.

    Crops have 0.4 to 0.6 of the image's height and width. An image is left out if none
    of four random sizes allows a pair.

    Args:
        source: Folder of sites as the converters write it.
        out: Output folder, in the same layout. Lesions of all classes become 255, or 1
            if the site's masks may have ignored pixels, which are 255. Crops keep the
            sequence and patient that the index gives their image; otherwise the two
            crops of an image form a sequence.
        seed: Seed of sizes and positions; these only depend on it and the image's site
            and name.

    Returns:
        Site -> number of pairs.

    Raises:
        ConversionError: A site or an image that cannot be used, a site without any
            pair, or a folder that holds something else.
        MaskError: An unreadable mask.
    """
    pairs: dict[str, int] = {}
    made: list[tuple[Entry, str]] = []
    with work_folder(out) as work:
        for site, entries in entries_by_site(source).items():
            new = MadeSite(work / site, entries[0])
            cut = [e for e in entries if _write_pair(e, new, seed)]
            pairs[site] = len(cut)
            made += [
                (entry, f'{site}/images/{entry.image.stem}_{kind}.jpg')
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


def _write_pair(entry: Entry, new: MadeSite, seed: int) -> bool:
    """Write both crops of an image; False if it allows no pair."""
    image = shrink(read_pixels(entry.image), _LONGER_SIDE)
    size = image.shape[1::-1]
    labels = cv2.resize(read_labels(entry), size, interpolation=cv2.INTER_NEAREST)
    windows = _draw_windows(generator_of(entry, seed), image, labels)
    for kind, window in zip(KINDS, windows):
        new.write(f'{entry.image.stem}_{kind}', image[window], labels[window])
    return bool(windows)


_Window = tuple[slice, slice]


def _draw_windows(
    generator: np.random.Generator, image: np.ndarray, labels: np.ndarray
) -> list[_Window]:
    """Two windows of the same size, in the order of :data:`KINDS`, or none."""
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
