"""Pairs the image and mask files of a site."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

IMAGE_SUFFIXES = {'.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff'}
"""Suffixes of image files, in lower case."""

CLASSES_FILE = 'classes.json'
"""Name of the file in which converters write the classes of a site's mask values."""


@dataclass(frozen=True)
class SiteFiles:
    """The image and mask files of one site.

    Args:
        pairs: Image -> its mask, in the order of the images' paths.
        without_mask: Images without a mask of the same name.
        without_image: Masks without an image of the same name.
        shared: Images and masks that have the same name and different suffixes, so that
            pairs are ambiguous.
    """

    pairs: dict[Path, Path]
    without_mask: list[Path]
    without_image: list[Path]
    shared: list[Path]


def find_site_files(images: Path, masks: Path) -> SiteFiles:
    """Pair the files of two folders by their names without suffix.

    Args:
        images: Folder of the images; need not exist.
        masks: Folder of the masks; need not exist.
    """
    images_of, masks_of = _by_stem(images), _by_stem(masks)
    pairs, without_mask, shared = {}, [], []
    for stem, files in images_of.items():
        own_masks = masks_of.get(stem, [])
        if not own_masks:
            without_mask += files
            continue
        if len(files) > 1 or len(own_masks) > 1:
            shared += [*files, *own_masks]
        pairs.update(dict.fromkeys(files, own_masks[-1]))
    without_image = [
        file
        for stem, files in masks_of.items()
        if stem not in images_of
        for file in files
    ]
    return SiteFiles(pairs, sorted(without_mask), sorted(without_image), shared)


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    """Name without suffix -> files of that name, sorted."""
    found: dict[str, list[Path]] = defaultdict(list)
    if folder.is_dir():
        # Names, not paths: paths take four times as long to sort.
        for name in sorted(os.listdir(folder)):
            stem, suffix = os.path.splitext(name)
            # Skip hidden files: macOS leaves `._NAME.png` beside NAME.png.
            if suffix.lower() in IMAGE_SUFFIXES and name[0] != '.':
                found[stem].append(folder / name)
    return found
