"""Means, paired differences, intervals and tests over run records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import special

from mcdrl_lab.errors import ProtocolError

from .signed_rank_test import signed_rank_p

# With fewer sites an interval over sites would depend almost only on its corrections.
MIN_SITES = 3
RESAMPLES = 10_000
# Larger sets of bootstrap weights are not cached: 32 MB each, sixteen entries.
_KEPT = 2**25
# Standard deviations up to this are rounding.
_NO_SPREAD = 1e-9
# Resamples per block; their weights fit into the processor's cache.
_AT_A_TIME = 500


@dataclass(frozen=True)
class Interval:
    """A 95 % bootstrap interval.

    Args:
        low: Lower end.
        high: Upper end.
    """

    low: float
    high: float


_NO_INTERVAL = Interval(math.nan, math.nan)


def mean_and_stderr(values: Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error (n - 1 in the variance).

    Args:
        values: One value per seed.

    Returns:
        Mean and standard error; the latter is NaN for a single value, both are NaN
        for none.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return float('nan'), float('nan')
    error = array.std(ddof=1) / np.sqrt(array.size) if array.size > 1 else np.nan
    return float(array.mean()), float(error)


def paired_differences(scores: pd.DataFrame, a: str, b: str) -> pd.DataFrame:
    """Pair two methods by held-out site, seed and image.

    Args:
        scores: Rows of :func:`~mcdrl_lab.results.scores.image_scores`.
        a: Name of the first method.
        b: Name of the method it is compared with.

    Returns:
        Columns held_out, seed, sequence, image, a, b, difference (a minus b); only
        pairs where both scores are defined.

    Raises:
        ProtocolError: A run has an image twice, or no image can be paired.
    """
    keys = ['held_out', 'seed', 'image']
    sides = []
    for name in (a, b):
        side = scores[scores['method'] == name]
        twice = side[side.duplicated(keys)]
        if len(twice):
            row = twice.iloc[0]
            raise ProtocolError(
                f'{name}: image {row["image"]!r} of {row["held_out"]} is recorded '
                f'twice for seed {row["seed"]}.'
            )
        sides.append(side)
    pairs = sides[0].merge(sides[1][[*keys, 'score']], on=keys, suffixes=('', '_b'))
    if pairs.empty:
        raise ProtocolError(
            f'{a} and {b} have no site, seed and image in common: nothing to compare.'
        )
    pairs = pairs.rename(columns={'score': 'a', 'score_b': 'b'})
    pairs['difference'] = pairs['a'] - pairs['b']
    pairs = pairs[['held_out', 'seed', 'sequence', 'image', 'a', 'b', 'difference']]
    return pairs.sort_values(keys, ignore_index=True)


def site_effects(pairs: pd.DataFrame) -> pd.Series:
    """Mean difference at each held-out site, over its images and seeds.

    Args:
        pairs: Rows of :func:`paired_differences`.

    Returns:
        Site -> mean difference, sorted by site.
    """
    return pairs.groupby('held_out')['difference'].mean()


def clusters(pairs: pd.DataFrame) -> pd.Series:
    """Name of each image's bootstrap unit: its sequence, or the image itself.

    Args:
        pairs: Rows with ``sequence`` and ``image``.
    """
    alone = 'image ' + pairs['image'].astype(str)
    named = 'sequence ' + pairs['sequence'].astype(str)
    return named.where(pairs['sequence'].notna(), alone)


def _stretched(
    samples: np.ndarray, center: float, factor: float
) -> tuple[float, float]:
    """Ends of the percentile interval, stretched around the estimate."""
    low, high = np.quantile(samples, [0.025, 0.975])
    return (
        float(center + factor * (low - center)),
        float(center + factor * (high - center)),
    )


def _t_over_z(degrees: float) -> float:
    """Ratio of the 95 % interval's width by Student's t to that by the normal law."""
    if not degrees > 0:
        return float('nan')
    return float(special.stdtrit(degrees, 0.025) / special.ndtri(0.025))


def new_sites_interval(
    pairs: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """Interval for the mean effect at new, similar hospitals: sites are the clusters.

    Whole sites are drawn with replacement, with all their sequences, images and seeds,
    so that correlations within a site are respected. Sites have equal weights, as in
    the tables. A plain percentile interval is too narrow for few clusters. It is
    stretched by sqrt(n / (n - 1)), which corrects the bias of the bootstrap's spread,
    and from the normal to Student's t distribution with n - 1 degrees of freedom (the
    two corrections of Hesterberg, The American Statistician 69(4), 2015).

    Args:
        pairs: Rows of :func:`paired_differences`.
        resamples: Number of bootstrap samples.
        seed: Seed of the resampling.

    Returns:
        The 95 % interval, or None for fewer than ``MIN_SITES`` sites; NaN ends if the
        effect is the same at all sites, see :func:`these_sites_interval`.
    """
    effects = site_effects(pairs).to_numpy()
    count = len(effects)
    if count < MIN_SITES:
        return None
    if not effects.std() > _NO_SPREAD:
        return _NO_INTERVAL
    rng = np.random.default_rng(seed)
    samples = effects[rng.integers(count, size=(resamples, count))].mean(axis=1)
    factor = np.sqrt(count / (count - 1)) * _t_over_z(count - 1)
    return Interval(*_stretched(samples, effects.mean(), factor))


def _sums_and_counts(site: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of a site's values, each (seeds, sequences)."""
    seeds = pd.factorize(site['seed'])[0]
    units = pd.factorize(clusters(site))[0]
    shape = seeds.max() + 1, units.max() + 1
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (seeds, units), site[column].to_numpy())
    np.add.at(counts, (seeds, units), 1.0)
    return sums, counts


@dataclass(frozen=True)
class _SiteBootstrap:
    """Bootstrap of one site's mean, with the variances for the t correction.

    Args:
        mean: Mean difference over images and seeds.
        samples: Bootstrap means, (resamples,).
        variances: Variance of the mean due to seeds and due to sequences; left out if
            there is only one seed, or one sequence.
        degrees: Degrees of freedom of each variance.
    """

    mean: float
    samples: np.ndarray
    variances: list[float]
    degrees: list[int]


def _draw_weights(
    sizes: tuple[int, ...], resamples: int, seed: int
) -> tuple[np.ndarray, ...]:
    """Bootstrap weights: how often each unit is drawn, (resamples, size) per size."""
    rng = np.random.default_rng(seed)
    weights = []
    for size in sizes:
        # Drawing n - 1 of n units gives the unbiased variance (Rao and Wu, Journal of
        # the American Statistical Association 83, 1988).
        if size == 1:
            drawn = np.ones((resamples, 1), np.int64)
        else:
            drawn = rng.multinomial(size - 1, np.full(size, 1 / size), resamples)
        # In practice no unit is drawn so often that it does not fit into a byte.
        if drawn.max() <= np.iinfo(np.int8).max:
            drawn = drawn.astype(np.int8)
        # Read-only, because the cache shares the arrays.
        drawn.flags.writeable = False
        weights.append(drawn)
    return tuple(weights)


# Cached: drawing is the slowest part, and tables compare many methods on one design.
_kept_weights = lru_cache(maxsize=16)(_draw_weights)


def _weighted_sums(
    sums: np.ndarray,
    counts: np.ndarray,
    seed_weights: np.ndarray,
    unit_weights: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of the differences in each resample.

    The many sequences are summed before the few seeds, and resamples are processed in
    blocks: no large product is formed, and the data stay in the processor's cache.
    """
    seeds, resamples = len(sums), len(seed_weights)
    table = np.concatenate([sums, counts]).T
    total, weight = np.empty(resamples), np.empty(resamples)
    for begin in range(0, resamples, _AT_A_TIME):
        part = slice(begin, begin + _AT_A_TIME)
        of_seeds = unit_weights[part].astype(np.float64) @ table
        total[part] = (seed_weights[part] * of_seeds[:, :seeds]).sum(axis=1)
        weight[part] = (seed_weights[part] * of_seeds[:, seeds:]).sum(axis=1)
    return total, weight


def _bootstrap_site(
    sums: np.ndarray,
    counts: np.ndarray,
    seed_weights: np.ndarray,
    unit_weights: np.ndarray,
) -> _SiteBootstrap:
    """Resample seeds and sequences of one site, independently of each other."""
    shape = sums.shape
    mean = sums.sum() / counts.sum()
    total, weight = _weighted_sums(sums, counts, seed_weights, unit_weights)
    # In an incomplete design a resample can be empty; it then counts as the mean.
    samples = np.divide(total, weight, out=np.full(len(total), mean), where=weight > 0)

    variances, degrees = [], []
    for axis, size in ((1, shape[0]), (0, shape[1])):
        if size > 1:
            # Linearised contribution of each seed or sequence to the mean.
            parts = (sums - mean * counts).sum(axis=axis) / counts.sum()
            variances.append(float(size / (size - 1) * (parts**2).sum()))
            degrees.append(size - 1)
    return _SiteBootstrap(mean, samples, variances, degrees)


def these_sites_interval(
    pairs: pd.DataFrame,
    resamples: int = RESAMPLES,
    seed: int = 0,
    column: str = 'difference',
) -> Interval:
    """Interval for the mean effect at these sites: sequences are the clusters.

    Within each site, sequences (images if no sequence is known) and training seeds are
    drawn with replacement, independently of each other (Owen, Annals of Applied
    Statistics 1(2), 2007; somewhat wide if the seeds affect each image independently,
    but not too narrow). The percentile interval is stretched to Student's t
    distribution with Satterthwaite's degrees of freedom, since seeds are few. With only
    one seed the interval is valid only for these trained networks.

    Args:
        pairs: Rows of :func:`paired_differences`, or of images or lesions with their
            held-out site, seed and sequence; one site or several.
        resamples: Number of bootstrap samples.
        seed: Seed of the resampling.
        column: Column of the values.

    Returns:
        The 95 % interval of the mean over sites; NaN ends if every site has only one
        seed and one sequence, or if nothing varies within the sites, as where all
        lesions were found. Resampling equal values would give an interval without
        width, although other images could differ.
    """
    tables = [_sums_and_counts(site, column) for _, site in pairs.groupby('held_out')]
    sizes = tuple(size for sums, _ in tables for size in sums.shape)
    draw = _kept_weights if sum(sizes) * resamples <= _KEPT else _draw_weights
    weights = iter(draw(sizes, resamples, seed))
    sites = [
        _bootstrap_site(sums, counts, next(weights), next(weights))
        for sums, counts in tables
    ]
    variances = np.array([v for site in sites for v in site.variances])
    degrees = np.array([d for site in sites for d in site.degrees])
    if not np.sqrt(variances.sum()) > _NO_SPREAD:
        return _NO_INTERVAL
    joint = variances.sum() ** 2 / (variances**2 / degrees).sum()
    samples = np.mean([site.samples for site in sites], axis=0)
    center = float(np.mean([site.mean for site in sites]))
    return Interval(*_stretched(samples, center, _t_over_z(joint)))


def new_draws_interval(differences: Sequence[float]) -> Interval:
    """Interval for the mean over new draws of the data: each draw is one unit.

    This is scipy's Student's t interval. Draws of one simulation are independent, and
    each difference is a mean over a hundred images or more, so nearly normal.

    Args:
        differences: One mean difference per draw.

    Returns:
        The 95 % interval; NaN ends for fewer than two draws.
    """
    if len(differences) < 2:
        return _NO_INTERVAL
    from scipy import stats  # late: slow to import

    ends = stats.ttest_1samp(differences, 0.0).confidence_interval(0.95)
    return Interval(float(ends.low), float(ends.high))


def wilcoxon_p(pairs: pd.DataFrame) -> float:
    """Two-sided Wilcoxon signed-rank test of the differences.

    The units are sequences (images if no sequence is known), each with its mean
    difference over its images and all seeds: frames of one video, or several seeds on
    one image, are not independent.

    Args:
        pairs: Rows of :func:`paired_differences`.

    Returns:
        The p value, see :func:`~mcdrl_lab.results.signed_rank_test.signed_rank_p`.
    """
    units = pairs.assign(unit=clusters(pairs))
    differences = units.groupby(['held_out', 'unit'])['difference'].mean()
    # Round first: floating-point noise in the last digit would break ties between equal
    # differences, and give a sign to differences that cancel to zero.
    return signed_rank_p(differences.to_numpy().round(9))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for several comparisons by Holm's method.

    The smallest of m values is multiplied by m, the next by m - 1, and so on. Each
    result is at least as large as the one before it (Holm, Scandinavian Journal of
    Statistics 6, 1979).

    Args:
        p_values: Uncorrected p values.

    Returns:
        Corrected p values in the same order.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values)
    factors = np.arange(len(values), 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.maximum.accumulate(values[order] * factors)
    return np.minimum(corrected, 1.0).tolist()
