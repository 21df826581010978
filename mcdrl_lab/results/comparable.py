"""Checks that runs may be compared: same data, same budget, same selection."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.hashing import differing_keys, plain
from mcdrl_lab.plans.records import RunRecord

_COUNTS = {'tp', 'fn', 'pixels'}


def check_comparable(a: Sequence[RunRecord], b: Sequence[RunRecord]) -> None:
    """Refuse to compare runs with different data, budgets or selections.

    The data hash only covers names and sizes of files. Edited masks are detected by
    their lesion areas in the per-image records.

    Args:
        a: Finished runs of one method.
        b: Finished runs of the other method.

    Raises:
        ProtocolError: The runs differ; names the difference and both values.
    """
    for first, second in itertools.product(a, b):
        if (first.held_out, first.seed) != (second.held_out, second.seed):
            continue
        pair = f'{first.method} and {second.method} (held-out {first.held_out}, '
        pair += f'seed {first.seed})'
        if first.selection != second.selection:
            raise ProtocolError(
                f'{pair} differ in selection: {first.selection} against '
                f'{second.selection}. Compare only runs whose checkpoints were chosen '
                'in the same way.'
            )
        if first.data_hash != second.data_hash:
            raise ProtocolError(
                f'{pair} differ in data: hash {first.data_hash[:12]} against '
                f'{second.data_hash[:12]}. Run both on the same files.'
            )
        budgets = plain(first.budget), plain(second.budget)
        keys = differing_keys(*budgets)
        if keys:
            words = ', '.join(
                f'{key} {first.budget.get(key)} against {second.budget.get(key)}'
                for key in (name.split('.')[0] for name in keys)
            )
            raise ProtocolError(
                f'{pair} differ in budget: {words}. Train both with the same budget.'
            )
    check_images([*a, *b])


def check_images(runs: Sequence[RunRecord]) -> None:
    """Refuse runs with different masks or sequences for the same images.

    Args:
        runs: Finished runs.

    Raises:
        ProtocolError: The runs differ; names two runs, an image and both values.
    """
    _check_masks(runs)
    _check_sequences(runs)


def _check_masks(runs: Iterable[RunRecord]) -> None:
    """Refuse runs that were tested with different masks of the same image."""

    def area(image: Mapping[str, Any]) -> tuple[int, int] | None:
        # Compact records and older ones have no pixel counts.
        has_counts = image.keys() >= _COUNTS
        return (image['tp'] + image['fn'], image['pixels']) if has_counts else None

    if unlike := _first_unlike(runs, area):
        who, where, image, known, own = unlike
        raise ProtocolError(
            f'{who} were tested with different masks at {where}: in {image}, '
            f'{known[0]} of {known[1]} pixels are lesion in one run, and {own[0]} of '
            f'{own[1]} in the other. Test both on the same files, with the same '
            'settings for reading masks.'
        )


def _check_sequences(runs: Iterable[RunRecord]) -> None:
    """Refuse runs in which the same image has different sequences.

    Sites are split by sequence, so training and validation used other images. The data
    hash does not cover the content of ``index.csv``.
    """
    if unlike := _first_unlike(runs, lambda image: (image.get('sequence'),)):
        who, where, image, *both = unlike
        told = [f'{s!r}' if s else 'none' for (s,) in both]
        raise ProtocolError(
            f'{who} have different sequences or patients at {where}: {image} belongs '
            f'to {told[0]} in one run, and to {told[1]} in the other. Their index.csv '
            'differed, so they were trained and validated on different images. Run '
            'both with the same index.csv.'
        )


def _first_unlike(
    runs: Iterable[RunRecord], told: Callable[[Mapping[str, Any]], tuple | None]
) -> tuple[str, str, str, tuple, tuple] | None:
    """Find the first image for which two runs have different values.

    Args:
        runs: Finished runs.
        told: Returns the value to compare from a per-image record; None is skipped.

    Returns:
        Text naming both runs, site, image, and both values; None if all agree.
    """
    known: dict[tuple[str, str], tuple[RunRecord, tuple]] = {}
    for run in runs:
        for image in run.images:
            own = told(image)
            if own is None:
                continue
            key = run.held_out, image['image']
            first, before = known.setdefault(key, (run, own))
            if before != own:
                who = f'{first.method} (seed {first.seed}) and {run.method} (seed '
                return f'{who}{run.seed})', *key, before, own
    return None
