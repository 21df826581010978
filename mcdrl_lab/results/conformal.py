"""A threshold with a guarantee: conformal risk control with sites as the units.

Angelopoulos, Bates, Fisch, Lei and Schuster, "Conformal risk control", ICLR 2024.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import RunRecord

from .method_runs import MethodRuns, method_runs

RISKS = ('area', 'lesions')
"""Missed share of lesion area, or of lesions; a site's risk is the mean over images."""
_ROUNDING = 1e-9


def smallest_level(sites: int) -> float:
    """The smallest level that this many sites can guarantee, 1 / (sites + 1)."""
    return 1 / (sites + 1)


def sites_needed(level: float) -> int:
    """The smallest number of sites that can guarantee a level in (0, 1)."""
    return max(1, math.ceil(1 / level - 1 - _ROUNDING))


def controlling_threshold(
    curves: np.ndarray, thresholds: Sequence[float], level: float
) -> float:
    """The largest threshold whose expected risk at a new site is at most the level.

    With n sites it is the largest t with n / (n + 1) * mean risk(t) + 1 / (n + 1) <=
    level. If the sites and the new one are exchangeable, the expected risk at the new
    one is then at most the level, for any number of sites and any distribution.

    Args:
        curves: Risk in [0, 1] of each site at each threshold, (n, thresholds); it
            must not decrease as the threshold increases.
        thresholds: In increasing order; at the first one nothing may be missed.
        level: In (0, 1).

    Returns:
        The threshold.

    Raises:
        ProtocolError: The level is not in (0, 1), or too small for so few sites; or
            no threshold keeps the risk below it.
    """
    count = len(curves)
    if not 0 < level < 1:
        raise ProtocolError(f'level {level} must lie between 0 and 1.')
    if not count:
        raise ProtocolError('no site to choose a threshold from.')
    if level < smallest_level(count) - _ROUNDING:
        raise ProtocolError(
            f'level {level} cannot be guaranteed from {count} '
            f'{"site" if count == 1 else "sites"}: the smallest level is 1/{count + 1} '
            f'= {math.ceil(1e4 / (count + 1)) / 1e4}. This level needs '
            f'{sites_needed(level)} sites.'
        )
    bound = (curves.sum(axis=0) + 1) / (count + 1)
    allowed = np.flatnonzero(bound <= level + _ROUNDING)
    if not allowed.size:
        raise ProtocolError(
            f'no threshold keeps the risk below {level}: lesions are already missed at '
            f'threshold {thresholds[0]}. Choose a larger level.'
        )
    return float(thresholds[allowed[-1]])


@dataclass(frozen=True)
class SiteCurves(MethodRuns):
    """Risk of one method at each site and threshold, as means over the seeds.

    Attributes:
        thresholds: In increasing order.
        curves: (sites, thresholds) risks.
    """

    thresholds: tuple[float, ...]
    curves: np.ndarray


def site_curves(
    records: Iterable[RunRecord], method: str | None = None, risk: str = 'area'
) -> SiteCurves:
    """Collect the risks of one method at its held-out sites.

    Args:
        records: Run records of leave-one-site-out.
        method: Name of the method; None takes the only one.
        risk: One of :data:`RISKS`.

    Returns:
        One curve per held-out site.

    Raises:
        ProtocolError: An unknown or ambiguous method, older records without risks, a
            site without any lesion, or no seed that finished at every site.
    """
    own = method_runs(records, method)
    parts = {(r.held_out, r.seed): _missed(r) for r in own.runs}
    grids = {tuple(part['thresholds']) for part in parts.values()}
    if len(grids) > 1:
        raise ProtocolError(
            f'{own.method}: the runs were recorded at different thresholds, by '
            'different versions. Test all of them with the same version.'
        )
    (thresholds,) = grids
    curves = [
        np.mean([parts[site, seed][risk] for seed in own.seeds], axis=0)
        for site in own.sites
    ]
    return SiteCurves(**vars(own), thresholds=thresholds, curves=np.array(curves))


def _missed(record: RunRecord) -> Mapping:
    """The checked curves of one run."""
    where = f'{record.method}, {record.held_out}, seed {record.seed}'
    kept = record.sites.get(record.held_out)
    if kept is None:
        raise ProtocolError(
            f'{where}: the record lacks what is missed at each threshold. It was made '
            'by an older version, or by a test with calibration=False, or an image '
            'had no probability. Run the plan again in a new folder.'
        )
    missed = kept.get('missed')
    if missed is None:
        raise ProtocolError(
            f'{where}: no image of the site holds a lesion, so nothing could be '
            'missed there. Leave the site out of the plan (--sites).'
        )
    try:
        curves = [np.asarray(missed[name], float) for name in ('thresholds', *RISKS)]
        right = all(
            curve.ndim == 1
            and len(curve) == len(curves[0]) > 0
            and (np.diff(curve) >= 0).all()
            and (curve >= 0).all()
            and (curve <= 1).all()
            for curve in curves
        )
    except (KeyError, TypeError, ValueError):
        right = False
    if not right:
        raise ProtocolError(
            f"{where}: sites['{record.held_out}']['missed'] is damaged: expected "
            f'thresholds, {" and ".join(RISKS)} as lists of equal length, of values '
            'from 0 to 1 that do not decrease. Run the plan again in a new folder.'
        )
    return missed


def risk_at(found: SiteCurves, threshold: float) -> np.ndarray:
    """Risk of each site at one of the thresholds, (sites,)."""
    return found.curves[:, found.thresholds.index(threshold)]


def held_out_risks(found: SiteCurves, level: float) -> list[tuple[float, float]] | None:
    """Apply the rule to each site in turn, as if it were the new site.

    Args:
        found: Curves of all sites.
        level: As for :func:`controlling_threshold`.

    Returns:
        For each site the threshold chosen on the others, and its risk at the site; None
        if one site fewer cannot guarantee the level.
    """
    count = len(found.sites)
    if count < 2 or level < smallest_level(count - 1) - _ROUNDING:
        return None
    pairs = []
    for index in range(count):
        others = np.delete(found.curves, index, axis=0)
        threshold = controlling_threshold(others, found.thresholds, level)
        pairs.append((threshold, float(risk_at(found, threshold)[index])))
    return pairs
