"""Bootstrap intervals for fixed sites: only their images are resampled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
"""Number of bootstrap draws for an interval."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % percentile interval; NaN if it is undefined."""

    value: float
    low: float
    high: float


def draws(
    sites: Sequence[str], sequences: Sequence[str | None]
) -> Iterator[np.ndarray]:
    """Resample the sequences of each site with replacement.

    An image without a sequence counts as a sequence of its own.

    Args:
        sites: Site of each of the n images.
        sequences: Sequence of each image, or None.

    Yields:
        For each of :data:`RESAMPLES` draws, (n,) how often each image is drawn.
    """
    names = np.asarray(sites)
    units = np.array(
        [
            f'image {n}' if sequence is None else f'sequence {sequence}'
            for n, sequence in enumerate(sequences)
        ]
    )
    groups = []
    for site in dict.fromkeys(sites):
        own = np.flatnonzero(names == site)
        _, unit = np.unique(units[own], return_inverse=True)
        groups.append((own, unit, unit.max() + 1))
    rng = np.random.default_rng(0)
    for _ in range(RESAMPLES):
        counts = np.zeros(len(names), int)
        for own, unit, size in groups:
            times = np.bincount(rng.integers(size, size=size), minlength=size)
            counts[own] = times[unit]
        yield counts


def estimates(
    measure: Callable[[np.ndarray], dict[str, float]],
    sites: Sequence[str],
    sequences: Sequence[str | None],
) -> dict[str, Estimate]:
    """Compute numbers on all images, with their bootstrap intervals.

    Args:
        measure: Takes how often each image counts, (n,), and returns named numbers.
        sites: See :func:`draws`.
        sequences: See :func:`draws`.

    Returns:
        Name -> the number, with its interval over the draws in which it is defined.
    """
    values = measure(np.ones(len(sites), int))
    drawn = [measure(c) for c in draws(sites, sequences)]
    found = {}
    for name, value in values.items():
        sample = np.array([row[name] for row in drawn])
        sample = sample[np.isfinite(sample)]
        low, high = np.quantile(sample, [0.025, 0.975]) if len(sample) else [np.nan] * 2
        found[name] = Estimate(value, float(low), float(high))
    return found


def interval(found: Estimate | None, form: str) -> str:
    """Format a number with its interval; a dash for None or NaN.

    Args:
        found: The number.
        form: Format of each value.
    """
    if found is None or found.value != found.value:
        return '-'
    return f'{found.value:{form}} ({found.low:{form}} to {found.high:{form}})'
