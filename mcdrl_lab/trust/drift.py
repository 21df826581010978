"""Finds the imaging conditions in which a site differs from all training sites."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import ttest_ind_from_stats

from mcdrl_common.site_reference import SiteReference
from mcdrl_lab.results.statistics import holm

SIGNIFICANCE = 0.05
MIN_EFFECT = 0.5
"""Smallest difference of means, in standard deviations, that counts.

Cohen's "medium". With hundreds of images even an invisible difference is significant.
"""

# Scores are cosines in float32: smaller differences count as equal.
_EQUAL = 1e-6


@dataclass(frozen=True)
class ConditionDrift:
    """One imaging condition at a new site.

    Attributes:
        name: Name of the condition in the dictionary.
        above: Share of the images that show more of it than 97.5 % of the images of
            every training site.
        below: Share of the images that show less, likewise.
        effect: Distance of the site's mean from that of the nearest training site, in
            standard deviations within training sites: positive above the highest mean,
            negative below the lowest, 0 between them.
        p: Two-sided p value of the null hypothesis that some training site has a mean
            as high, or as low. None for a single image, which cannot be tested.
        p_holm: ``p`` with Holm's correction over all conditions.
        differs: 1 or -1 if the site shows more or less of the condition than every
            training site, that is, ``p_holm`` is below 0.05 and the effect at least
            half a standard deviation; else 0.
    """

    name: str
    above: float
    below: float
    effect: float
    p: float | None
    p_holm: float | None
    differs: int


def condition_drift(
    reference: SiteReference, scores: np.ndarray
) -> list[ConditionDrift]:
    """Compare a site with the training sites.

    For each condition Welch's t test compares the site's mean with the mean of each
    training site, separately for higher and lower. For each direction the largest p
    value over the training sites is taken (an intersection-union test). The p value is
    twice the smaller of the two.

    Args:
        reference: Statistics of the training sites.
        scores: (n, M) condition scores of the site's images.

    Raises:
        ValueError: No image, another number of conditions, or values that are not
            finite.
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or scores.shape[1] != len(reference.conditions):
        raise ValueError(
            f'scores have shape {scores.shape}; expected one row per image and '
            f'{len(reference.conditions)} conditions.'
        )
    if not len(scores):
        raise ValueError('no image to compare with the training sites.')
    if not np.isfinite(scores).all():
        raise ValueError('scores hold NaN or infinite values.')
    beyond = reference.beyond(scores)
    effects = _effects(reference, scores.mean(axis=0))
    values: list[float | None] = [None] * len(effects)
    corrected = values
    if len(scores) > 1:
        tested = _p_values(reference, scores)
        values, corrected = [*tested], [*holm(tested)]
    return [
        ConditionDrift(
            name=name,
            above=float((beyond[:, m] == 1).mean()),
            below=float((beyond[:, m] == -1).mean()),
            effect=float(effects[m]),
            p=values[m],
            p_holm=corrected[m],
            differs=_differs(float(effects[m]), corrected[m]),
        )
        for m, name in enumerate(reference.conditions)
    ]


def _differs(effect: float, p_holm: float | None) -> int:
    if p_holm is None or p_holm >= SIGNIFICANCE or abs(effect) < MIN_EFFECT:
        return 0
    return int(math.copysign(1, effect))


def _effects(reference: SiteReference, means: np.ndarray) -> np.ndarray:
    """Distance beyond the training sites' means, in standard deviations of a site."""
    weights = reference.counts[:, None] - 1
    variance = (weights * reference.stds**2).sum(axis=0) / weights.sum()
    spread = np.maximum(np.sqrt(variance), _EQUAL)
    over = means - reference.means.max(axis=0)
    under = means - reference.means.min(axis=0)
    away = np.where(over > _EQUAL, over, np.where(under < -_EQUAL, under, 0))
    return away / spread


def _p_values(reference: SiteReference, scores: np.ndarray) -> list[float]:
    difference = scores.mean(axis=0) - reference.means
    difference = np.where(np.abs(difference) > _EQUAL, difference, 0)
    welch = functools.partial(
        ttest_ind_from_stats,
        mean1=difference,
        std1=np.maximum(scores.std(axis=0, ddof=1), _EQUAL),
        nobs1=len(scores),
        mean2=0.0,
        std2=np.maximum(reference.stds, _EQUAL),
        nobs2=reference.counts[:, None],
        equal_var=False,
    )
    higher, lower = (
        welch(alternative=side).pvalue.max(axis=0) for side in ('greater', 'less')
    )
    return np.minimum(2 * np.minimum(higher, lower), 1).tolist()


def describe_drift(drift: ConditionDrift, sites: int) -> str:
    """Describe a condition in one line.

    Args:
        drift: See :func:`condition_drift`.
        sites: Number of training sites.

    Returns:
        Such as 'more "dark lighting" than at any training site: 41 % of the images'.
    """
    more = drift.above >= drift.below if not drift.differs else drift.differs > 0
    share = drift.above if more else drift.below
    where = 'the training site' if sites == 1 else 'any training site'
    return (
        f'{"more" if more else "less"} "{drift.name}" than at {where}: '
        f'{100 * share:.0f} % of the images'
    )
