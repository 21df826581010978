"""Which mask file belongs to which image file of a site."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

IMAGE_SUFFIXES = {'.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff'}
"""Endings of image files, in small letters."""
_MASK_SUFFIXES = IMAGE_SUFFIXES

CLASSES_FILE = 'classes.json'
"""Which value of a site's masks means which class, as the converters note it."""


@dataclass(frozen=True)
class SiteFiles:
    """The image and mask files of one site.

    Args:
        pairs: Image -> its mask, in the order of the images' paths.
        without_mask: Images without a mask of the same name.
        without_image: Masks without an image of the same name.
        shared: Images and masks of which several have one name, and differ in their
            endings: which belongs to which cannot be told.
    """

    pairs: dict[Path, Path]
    without_mask: list[Path]
    without_image: list[Path]
    shared: list[Path]


def find_site_files(images: Path, masks: Path) -> SiteFiles:
    """Pair the files of two folders by their names without ending.

    Args:
        images: Folder of the images; need not exist.
        masks: Folder of the masks; need not exist.
    """
    by_stem = {
        folder: _by_stem(folder, suffixes)
        for folder, suffixes in ((images, IMAGE_SUFFIXES), (masks, _MASK_SUFFIXES))
    }
    pairs, without_mask, shared = {}, [], []
    for stem, files in by_stem[images].items():
        own_masks = by_stem[masks].get(stem, [])
        if not own_masks:
            without_mask += files
            continue
        if len(files) > 1 or len(own_masks) > 1:
            shared += [*files, *own_masks]
        pairs.update(dict.fromkeys(files, own_masks[-1]))
    without_image = [
        file
        for stem, files in by_stem[masks].items()
        if stem not in by_stem[images]
        for file in files
    ]
    return SiteFiles(pairs, sorted(without_mask), sorted(without_image), shared)


def _by_stem(folder: Path, suffixes: set[str]) -> dict[str, list[Path]]:
    """Name without ending -> files of that name, sorted."""
    found: dict[str, list[Path]] = defaultdict(list)
    if folder.is_dir():
        # Names and not paths: those take four times as long to sort.
        for name in sorted(os.listdir(folder)):
            stem, suffix = os.path.splitext(name)
            # Hidden files are none: macOS leaves `._NAME.png` beside NAME.png.
            if suffix.lower() in suffixes and name[0] != '.':
                found[stem].append(folder / name)
    return found
