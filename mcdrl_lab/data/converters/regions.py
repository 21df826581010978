"""Outlines from annotation files, drawn with pycocotools."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from mcdrl_common.findings import FileProblem


@dataclass(frozen=True)
class Region:
    """One outlined lesion.

    Args:
        label: Class index, from 1.
        segmentation: Polygons as ``[[x, y, x, y, ...], ...]``, or run lengths as
            ``{'size': [height, width], 'counts': text or list}``, as in COCO files.
    """

    label: int
    segmentation: Any


def draw_regions(
    regions: Sequence[Region], size: tuple[int, int]
) -> tuple[np.ndarray, tuple[tuple[str, str], ...]]:
    """Draw outlines into one index mask.

    The largest come first, so that a small lesion stays visible on a large one.

    Args:
        regions: The outlines of one image.
        size: (height, width) of the image.

    Returns:
        (H, W) uint8 class indices, and kind and detail of what is worth reporting.

    Raises:
        FileProblem: An outline that is no polygon or no run lengths of this size.
    """
    drawn, clipped, empty = [], 0, 0
    for region in regions:
        shape, outside = _shape(region.segmentation, size)
        drawn.append((region.label, shape))
        clipped += outside
        empty += not (outside or shape.any())
    drawn.sort(key=lambda item: (-int(item[1].sum()), item[0]))
    labels = np.zeros(size, np.uint8)
    hidden = 0
    for label, shape in drawn:
        hidden += int(((labels[shape] != 0) & (labels[shape] != label)).sum())
        labels[shape] = label
    notes = []
    if clipped:
        notes.append(('clipped outline', f'{clipped} extend beyond the image'))
    if empty:
        # A sliver, or an outline traced twice, which encloses nothing.
        notes.append(('empty outline', f'{empty} contain no pixel'))
    if hidden:
        notes.append(('overlap', f'{hidden} pixels lie in outlines of two classes'))
    return labels, tuple(notes)


def _shape(segmentation: Any, size: tuple[int, int]) -> tuple[np.ndarray, bool]:
    if isinstance(segmentation, Mapping):
        return _from_run_lengths(segmentation, size), False
    return _from_polygons(segmentation, size)


def _from_polygons(polygons: Any, size: tuple[int, int]) -> tuple[np.ndarray, bool]:
    if not isinstance(polygons, Sequence) or not polygons:
        raise FileProblem('bad annotation', 'no outline (a box alone is not a mask)')
    if all(isinstance(value, (int, float)) for value in polygons):
        # Some programs write a single polygon without the list around it.
        polygons = [polygons]
    height, width = size
    near = 2 * max(size)
    flat, outside = [], False
    for polygon in polygons:
        points = _points(polygon)
        beyond = np.maximum(-points, points - [width, height])
        outside |= bool((beyond > 1).any())
        # pycocotools steps along every edge, also far outside the image.
        if (beyond > near).any():
            points = _cut(points, (-near, -near), (width + near, height + near))
        if len(points):
            flat.append(points.ravel().tolist())
    if not flat:
        return np.zeros(size, bool), outside
    merged = coco_mask.merge(coco_mask.frPyObjects(flat, height, width))
    return coco_mask.decode(merged).astype(bool), outside


def _cut(
    points: np.ndarray, lowest: tuple[float, float], highest: tuple[float, float]
) -> np.ndarray:
    """Clip a polygon to a rectangle; its edges inside do not move.

    Sutherland and Hodgman, Reentrant polygon clipping, Communications of the ACM
    17(1), 1974: the polygon is cut at one side of the rectangle after another.

    Args:
        points: (N, 2) corners as x, y.
        lowest: Left and upper side of the rectangle.
        highest: Right and lower side.

    Returns:
        (M, 2) corners, none if polygon and rectangle do not overlap.
    """
    sides = [(axis, sign) for axis in (0, 1) for sign in (1, -1)]
    for axis, sign in sides:
        bound = lowest[axis] if sign > 0 else highest[axis]
        kept: list[np.ndarray] = []
        for start, end in zip(np.roll(points, 1, axis=0), points):
            is_in = sign * start[axis] >= sign * bound, sign * end[axis] >= sign * bound
            if is_in[0] != is_in[1]:
                # Halved first: the difference of two large numbers may overflow.
                whole = end[axis] / 2 - start[axis] / 2
                share = (bound / 2 - start[axis] / 2) / whole
                crossing = (1 - share) * start + share * end
                crossing[axis] = bound
                kept.append(crossing)
            if is_in[1]:
                kept.append(end)
        points = np.array(kept).reshape(-1, 2)
    return points


def _points(polygon: Any) -> np.ndarray:
    """(N, 2) finite coordinates."""
    try:
        values = np.asarray(polygon, dtype=float)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim != 1 or values.size < 6 or values.size % 2:
        raise FileProblem('bad annotation', 'a polygon with fewer than three points')
    if not np.isfinite(values).all():
        raise FileProblem('bad annotation', 'a polygon with infinite coordinates')
    return values.reshape(-1, 2)


def _from_run_lengths(rle: Mapping, size: tuple[int, int]) -> np.ndarray:
    if list(rle.get('size', ())) != list(size):
        detail = f'run lengths for {rle.get("size")}, the image is {list(size)}'
        raise FileProblem('size mismatch', f'{detail} (height, width)')
    counts: Any = rle.get('counts')
    try:
        runs = _parse_counts(counts) if isinstance(counts, str) else list(counts)
        whole = all(type(run) is int and run >= 0 for run in runs)
    except (TypeError, ValueError, IndexError):
        whole = False
    # pycocotools leaves pixels that no run reaches uninitialised.
    if not whole or sum(runs) != math.prod(size):
        raise FileProblem('bad annotation', 'run lengths that do not fill the image')
    return coco_mask.decode(
        coco_mask.frPyObjects({'size': list(size), 'counts': runs}, *size)
    ).astype(bool)


def _parse_counts(text: str) -> list[int]:
    """Decode COCO's text form of run lengths.

    A character holds 5 bits. From the 4th on, each length is stored as the difference
    from the length two before.
    """
    runs: list[int] = []
    position = 0
    while position < len(text):
        value = shift = 0
        more = True
        while more:
            bits = ord(text[position]) - 48
            if not 0 <= bits < 64:
                raise ValueError(text[position])
            value |= (bits & 31) << shift
            shift += 5
            position += 1
            more = bool(bits & 32)
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return runs
