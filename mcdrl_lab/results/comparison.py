"""Compares one method with others: differences, intervals and tests, also by site."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace

import pandas as pd

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import RunRecord, latest_records

from .comparable import check_comparable
from .scores import done, image_scores
from .statistics import (
    RESAMPLES,
    Interval,
    clusters,
    holm,
    new_sites_interval,
    paired_differences,
    site_effects,
    these_sites_interval,
    wilcoxon_p,
)
from .tables import ORACLE_MARK, row_name

LEFT_OUT = 'Left out, since only one of the two finished: '
"""Start of the note on runs that only one of two methods has."""


@dataclass(frozen=True)
class Effect:
    """A difference between two methods, over all sites or at one.

    Args:
        site: Held-out site, or None for the mean over sites.
        a: Mean score of the first method.
        b: Mean score of the other method.
        difference: a minus b; points (per cent), pixels or counts.
        interval: 95 % interval for these sites (sequences and seeds are resampled).
        p: Wilcoxon signed-rank p value.
        p_holm: ``p`` with Holm's correction over all comparisons of one call.
        images: Number of different images.
        seeds: Number of seeds.
    """

    site: str | None
    a: float
    b: float
    difference: float
    interval: Interval
    p: float
    p_holm: float
    images: int
    seeds: int


@dataclass(frozen=True)
class Comparison:
    """Comparison of method A with method B.

    Args:
        a: Name of the first method.
        b: Name of the method it is compared with.
        metric: Per-image metric.
        overall: Mean over sites, with equal weights.
        new_sites: 95 % interval with whole sites resampled, or None for too few sites.
        sites: Effect at each held-out site; empty if it was not requested.
        notes: Caveats for the reader, as sentences.
        selection: Kind of runs, ``'validation'`` or ``'oracle'``.
        lesion_class: Lesion class to whose images the comparison is restricted; empty
            for all images.
    """

    a: str
    b: str
    metric: str
    overall: Effect
    new_sites: Interval | None
    sites: tuple[Effect, ...]
    notes: tuple[str, ...]
    selection: str = 'validation'
    lesion_class: str = ''

    @property
    def title(self) -> str:
        """Names of both methods; oracle runs are marked."""
        a, b = (row_name(name, self.selection) for name in (self.a, self.b))
        return f'{a} against {b}'


def runs_of(records: Iterable[RunRecord], name: str, selection: str) -> list[RunRecord]:
    """Finished runs of a method, by their latest records.

    Args:
        records: Run records.
        name: Name of the method.
        selection: Kind of runs, ``'validation'`` or ``'oracle'``.

    Raises:
        ProtocolError: There is none; lists the methods with finished runs.
    """
    records = done(latest_records(records))
    found = [r for r in records if (r.method, r.selection) == (name, selection)]
    if not found:
        known = sorted({f'{r.method} ({r.selection})' for r in records})
        raise ProtocolError(
            f'no finished run of {name} ({selection}); there are finished runs of: '
            f'{", ".join(known) or "none"}.'
        )
    return found


def _effect(pairs: pd.DataFrame, site: str | None, resamples: int) -> Effect:
    by_site = pairs.groupby('held_out')[['a', 'b', 'difference']].mean().mean()
    return Effect(
        site=site,
        a=float(by_site['a']),
        b=float(by_site['b']),
        difference=float(by_site['difference']),
        interval=these_sites_interval(pairs, resamples),
        p=wilcoxon_p(pairs),
        p_holm=math.nan,
        images=len(pairs[['held_out', 'image']].drop_duplicates()),
        seeds=pairs['seed'].nunique(),
    )


def _notes(
    pairs: pd.DataFrame, scores: Sequence[pd.DataFrame], runs: Sequence[RunRecord]
) -> tuple[str, ...]:
    """Caveats for the reader.

    Args:
        pairs: Rows of :func:`paired_differences`.
        scores: Scores of each method.
        runs: Runs of both methods.
    """
    notes = []
    if any(run.selection == 'oracle' for run in runs):
        notes.append(
            f'{ORACLE_MARK} checkpoints chosen on the held-out site itself (oracle): '
            'these are no scores at a site that was never seen.'
        )
    undefined = sorted({r.held_out for r in runs} - {*pd.concat(scores)['held_out']})
    if undefined:
        notes.append(f'Undefined, and in no mean, at: {", ".join(undefined)}.')
    ours, theirs = (
        set(zip(side['held_out'], side['seed'], strict=True)) for side in scores
    )
    if note := _left_out(ours, theirs):
        notes.append(note)
    common = sum(
        (site, seed) in ours & theirs
        for side in scores
        for site, seed in zip(side['held_out'], side['seed'], strict=True)
    )
    unpaired = common - 2 * len(pairs)
    if unpaired:
        notes.append(f'{unpaired} scores have no partner and were left out.')
    unknown = pairs.loc[pairs['sequence'].isna(), ['held_out', 'image']]
    if len(unknown):
        notes.append(
            f'{len(unknown.drop_duplicates())} images belong to no known sequence and '
            'count as independent; near-duplicate frames among them make the '
            'interval at these sites too narrow.'
        )
    units = pairs.assign(unit=clusters(pairs)).groupby('held_out')['unit'].nunique()
    single = [str(site) for site, count in units.items() if count == 1]
    if single:
        notes.append(
            f'One sequence or image only at {", ".join(single)}: intervals do not '
            'count how much others there would change.'
        )
    if pairs['seed'].nunique() == 1:
        notes.append(
            'One seed only: the interval at these sites speaks of these trained '
            'networks, not of the methods.'
        )
    return tuple(notes)


def _left_out(ours: Set[tuple[str, int]], theirs: Set[tuple[str, int]]) -> str | None:
    """Note on runs that only one of two methods has; None if there are none."""
    names = ', '.join(f'{site} seed {seed}' for site, seed in sorted(ours ^ theirs))
    return f'{LEFT_OUT}{names}.' if names else None


def left_out_note(records: Iterable[RunRecord], a: str, b: str) -> str | None:
    """Note on runs that a :func:`mean_difference` leaves out.

    Args:
        records: Run records.
        a: Name of the first method.
        b: Name of the method it is compared with.

    Returns:
        The note, or None if both methods have the same runs.
    """
    records = list(records)
    ours, theirs = (
        {(run.held_out, run.seed) for run in runs_of(records, name, 'validation')}
        for name in (a, b)
    )
    return _left_out(ours, theirs)


def compare(
    records: Iterable[RunRecord],
    a: str,
    others: Sequence[str],
    metric: str = 'dice',
    *,
    selection: str = 'validation',
    resamples: int = RESAMPLES,
    by_site: bool = True,
) -> list[Comparison]:
    """Compare one method with others, image by image and seed by seed.

    Args:
        records: Run records.
        a: Name of the first method.
        others: Names of the methods it is compared with. Holm's correction runs over
            these comparisons, and separately over all site-wise tests.
        metric: Per-image metric.
        selection: Kind of runs, ``'validation'`` or ``'oracle'``.
        resamples: Number of bootstrap samples.
        by_site: Whether to compute the effect at each site too, which doubles the time.

    Returns:
        One comparison for each of ``others``, in their order.

    Raises:
        ProtocolError: A method has no finished run, the runs differ in data or
            budget, or no image can be paired.
    """
    records = list(records)
    if a in others:
        raise ProtocolError(f'{a} cannot be compared with itself.')
    twice = sorted({name for name in others if others.count(name) > 1})
    if twice:
        # Holm's correction would count it twice.
        raise ProtocolError(f'listed twice: {", ".join(twice)}; list each method once.')
    runs_a = runs_of(records, a, selection)
    runs_b = (runs_of(records, b, selection) for b in others)
    return _corrected([_compare(runs_a, b, metric, resamples, by_site) for b in runs_b])


def _compare(
    runs_a: Sequence[RunRecord],
    runs_b: Sequence[RunRecord],
    metric: str,
    resamples: int,
    by_site: bool,
) -> Comparison:
    """Compare two methods, without Holm's correction."""
    a, b = runs_a[0].method, runs_b[0].method
    check_comparable(runs_a, runs_b)
    scores = image_scores([*runs_a, *runs_b], metric)
    if scores.empty:
        raise ProtocolError(
            f'no image of {a} and {b} has {metric}. Either it is undefined on all '
            'images, or an older version made the records and did not record it: then '
            'run the plan again in a new folder.'
        )
    pairs = paired_differences(scores, a, b)
    parts = pairs.groupby('held_out') if by_site else ()
    return Comparison(
        a=a,
        b=b,
        metric=metric,
        overall=_effect(pairs, None, resamples),
        new_sites=new_sites_interval(pairs, resamples),
        sites=tuple(_effect(part, str(site), resamples) for site, part in parts),
        notes=_notes(
            pairs,
            [scores[scores['method'] == name] for name in (a, b)],
            [*runs_a, *runs_b],
        ),
        selection=runs_a[0].selection,
    )


def mean_difference(
    records: Iterable[RunRecord], a: str, b: str, metric: str = 'dice'
) -> float:
    """Mean difference of two methods over sites, as in :func:`compare`, without tests.

    Args:
        records: Run records.
        a: Name of the first method.
        b: Name of the method it is compared with.
        metric: Per-image metric.

    Returns:
        a minus b.

    Raises:
        ProtocolError: As for :func:`compare`.
    """
    records = list(records)
    runs_a, runs_b = (runs_of(records, name, 'validation') for name in (a, b))
    check_comparable(runs_a, runs_b)
    scores = image_scores([*runs_a, *runs_b], metric)
    return float(site_effects(paired_differences(scores, a, b)).mean())


def _corrected(comparisons: list[Comparison]) -> list[Comparison]:
    """Fill in Holm's correction, over comparisons and over site-wise tests."""
    overall = holm([c.overall.p for c in comparisons])
    local = iter(holm([effect.p for c in comparisons for effect in c.sites]))
    return [
        replace(
            comparison,
            overall=replace(comparison.overall, p_holm=p),
            sites=tuple(replace(e, p_holm=next(local)) for e in comparison.sites),
        )
        for comparison, p in zip(comparisons, overall)
    ]
