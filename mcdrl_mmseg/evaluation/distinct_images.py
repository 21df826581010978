"""Joins the results of several processes, with each image once."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class ImageResult:
    """Result of one image.

    Not a named tuple: mmengine turns these into plain tuples when it collects results.

    Attributes:
        site: Name of the site.
        img_path: Path of the image file, or None.
        seg_map_path: Path of the mask file, or None.
        record: The per-image record.
        calibration: Histograms for the site's calibration, see
            :func:`~.calibration_counts.calibration_histograms`; None without a
            probability or with ``calibration=False``.
        missed: Shares that each threshold misses, see
            :func:`~.missed_lesions.missed_shares`; None without a lesion, and as above.
    """

    site: str
    img_path: str | None
    seg_map_path: str | None
    record: dict
    calibration: np.ndarray | None = None
    missed: np.ndarray | None = None

    @property
    def identity(self) -> tuple[str, str | None, str | None]:
        """Key that identifies this image within the data set."""
        return self.site, self.img_path, self.seg_map_path


def distinct_results(
    parts: Sequence[Sequence[ImageResult]], size: int
) -> list[ImageResult]:
    """Results of all processes, each image once, sorted by site and name.

    Samplers repeat images so that every process gets the same number. An image is
    identified by site, image path and mask path. Results without a path cannot be
    distinguished; they are kept in the order of the dataset up to its size (process r
    of n gets the images r, r + n, r + 2n ...).

    Args:
        parts: The results of every process, by rank.
        size: Number of images in the dataset.

    Returns:
        The results; names that are ambiguous within a site are made longer.
    """
    interleaved = chain.from_iterable(zip_longest(*parts))
    named: dict[tuple, ImageResult] = {}
    unnamed: list[ImageResult] = []
    for result in interleaved:
        if result is None:
            continue
        if result.img_path:
            named.setdefault(result.identity, result)
        else:
            unnamed.append(result)
    unnamed = unnamed[: max(0, size - len(named))]
    results = _with_unique_names(list(named.values()))
    results += [
        _renamed(result, f'image_{index:06d}') for index, result in enumerate(unnamed)
    ]
    return sorted(results, key=lambda r: (r.record['site'], r.record['image']))


def _renamed(result: ImageResult, name: str) -> ImageResult:
    return replace(result, record={**result.record, 'image': name})


def _with_unique_names(results: list[ImageResult]) -> list[ImageResult]:
    """Use paths below the common folder as names where file names repeat."""
    uses = Counter((r.site, r.record['image']) for r in results)
    ambiguous = {site for (site, _), count in uses.items() if count > 1}
    folders = {
        site: os.path.commonpath(
            [os.path.dirname(r.img_path or '') for r in results if r.site == site]
        )
        for site in ambiguous
    }
    return [
        _renamed(r, Path(r.img_path or '').relative_to(folders[r.site]).as_posix())
        if r.site in folders
        else r
        for r in results
    ]
