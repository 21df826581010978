"""Calibration and missed lesions of each site, pooled over its images.

Pixels of a site are counted together: the calibration error of a single image says
little, since most of its probabilities are close to 0 or 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np

from .calibration_scores import calibration_scores, reliability_diagram
from .metric_names import CALIBRATION_METRICS

PARTS = ('all', 'border')
"""Sets of pixels: all, or those near the outline of a lesion."""

THRESHOLDS = (
    *(step / 1000 for step in range(10)),
    *(step / 100 for step in range(1, 101)),
)
"""0.000 to 0.010 in steps of 0.001, then to 1.00 in steps of 0.01: confident networks
give most missed pixels a probability near 0."""


def calibration_metrics(histograms: np.ndarray | None) -> dict[str, float | None]:
    """Scores of all pixels, and of those near a lesion's outline.

    Args:
        histograms: Integer (2, 2, levels): away from or near an outline, true class,
            level of the probability. None if an image has no probability.

    Returns:
        ``CALIBRATION_METRICS``; None where undefined.
    """
    if histograms is None:
        return dict.fromkeys(CALIBRATION_METRICS)
    scores = calibration_scores(histograms.sum(axis=0))
    border = calibration_scores(histograms[1])
    return {**scores, **{f'{name}_border': border[name] for name in border}}


def site_calibration(histograms: np.ndarray) -> dict[str, dict]:
    """Reliability diagrams of a site, for JSON.

    Args:
        histograms: As for :func:`calibration_metrics`.

    Returns:
        A diagram for each of :data:`PARTS`.
    """
    parts = (histograms.sum(axis=0), histograms[1])
    return {name: reliability_diagram(part) for name, part in zip(PARTS, parts)}


def site_missed(shares: Sequence[np.ndarray]) -> dict:
    """Shares of a site's lesions that each threshold misses, for JSON.

    Args:
        shares: (2, thresholds) for each image with a lesion: missed shares of area and
            of lesions.

    Returns:
        ``images``, their number; ``thresholds``; ``area`` and ``lesions``, the missed
        share at each threshold as mean over images.
    """
    area, lesions = np.mean(shares, axis=0)
    return dict(
        images=len(shares),
        thresholds=list(THRESHOLDS),
        area=[round(float(share), 6) for share in area],
        lesions=[round(float(share), 6) for share in lesions],
    )


def scoped_calibration(
    sites: Mapping[str, np.ndarray | None],
) -> dict[str, float | None]:
    """Calibration of all images, of each site, and its mean over sites.

    Args:
        sites: Histograms by site, see :func:`calibration_metrics`.

    Returns:
        ``<metric>``, ``site/<site>/<metric>`` and ``site_mean/<metric>``, the
        unweighted mean over the sites that have the metric.
    """
    by_site = {site: calibration_metrics(part) for site, part in sites.items()}
    known = [part for part in sites.values() if part is not None]
    whole = np.sum(known, axis=0) if known and len(known) == len(sites) else None
    metrics = dict(calibration_metrics(whole))
    for site, own in by_site.items():
        metrics.update({f'site/{site}/{name}': value for name, value in own.items()})
    for name in CALIBRATION_METRICS:
        values = [v for own in by_site.values() if (v := own[name]) is not None]
        metrics[f'site_mean/{name}'] = fmean(values) if values else None
    return metrics
