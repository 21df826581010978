"""One method against others: differences, intervals, tests, site by site."""

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
"""Begin of a note on runs that one of two methods alone has."""


@dataclass(frozen=True)
class Effect:
    """A difference between two methods, over all sites or at one.

    Args:
        site: Held-out site, or None for the mean over sites.
        a: Mean score of the method in question.
        b: Mean score of the other one.
        difference: a minus b; points (per cent) or pixels.
        interval: 95 % interval at these sites (sequences and seeds drawn).
        p: Wilcoxon signed-rank p value.
        p_holm: The same, corrected by Holm over the comparisons asked for together.
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
    """A against B.

    Args:
        a: Name of the method in question.
        b: Name of the method it is measured against.
        metric: Per-image metric.
        overall: Mean over sites, sites weighing the same.
        new_sites: 95 % interval with whole sites drawn, or None for too few sites.
        sites: Effect at each held-out site; empty where it was not asked for.
        notes: What the reader must know, as sentences.
        selection: Which kind of runs, ``'validation'`` or ``'oracle'``.
        lesion_class: Of whose images alone it is; empty for all images.
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
        """What is compared; runs that the test site chose are marked."""
        a, b = (row_name(name, self.selection) for name in (self.a, self.b))
        return f'{a} against {b}'


def runs_of(records: Iterable[RunRecord], name: str, selection: str) -> list[RunRecord]:
    """Finished runs of a method, the latest of each.

    Args:
        records: Run records.
        name: Of the method.
        selection: Which kind of runs, ``'validation'`` or ``'oracle'``.

    Raises:
        ProtocolError: There is none; names those that there are.
    """
    records = done(latest_records(records))
    found = [r for r in records if (r.method, r.selection) == (name, selection)]
    if not found:
        known = sorted({f'{r.method} ({r.selection})' for r in records})
        raise ProtocolError(
            f'no finished run of {name} ({selection}); finished are: '
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
    """What the reader must know.

    Args:
        pairs: Rows of :func:`paired_differences`.
        scores: Scores of either method.
        runs: Runs of both.
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
    """What is to be said of runs that one of two methods alone has."""
    names = ', '.join(f'{site} seed {seed}' for site, seed in sorted(ours ^ theirs))
    return f'{LEFT_OUT}{names}.' if names else None


def left_out_note(records: Iterable[RunRecord], a: str, b: str) -> str | None:
    """What is to be said of a :func:`mean_difference` that lacks runs.

    Args:
        records: Run records.
        a: Name of the method in question.
        b: Name of the method it is measured against.

    Returns:
        None where both methods have the same runs.
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
        a: Name of the method in question.
        others: Names of the methods it is measured against. Holm's correction runs
            over these comparisons, and separately over all site-wise tests.
        metric: Per-image metric.
        selection: Which kind of runs, ``'validation'`` or ``'oracle'``.
        resamples: Number of bootstrap samples.
        by_site: Whether to work out the effect at each site too, which takes as long as
            all else.

    Returns:
        One comparison for each of ``others``, in their order.

    Raises:
        ProtocolError: A method has no finished run, the runs differ in data or
            budget, or nothing pairs.
    """
    records = list(records)
    if a in others:
        raise ProtocolError(f'{a} cannot be compared with itself.')
    twice = sorted({name for name in others if others.count(name) > 1})
    if twice:
        # Holm's correction would count it twice.
        raise ProtocolError(f'named twice: {", ".join(twice)}; name each method once.')
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
    """Two methods, before Holm's correction."""
    a, b = runs_a[0].method, runs_b[0].method
    check_comparable(runs_a, runs_b)
    scores = image_scores([*runs_a, *runs_b], metric)
    if scores.empty:
        raise ProtocolError(
            f'no image of {a} and {b} has {metric}: it is defined on none, or the '
            'records are of a version that did not record it. Run the plan again '
            'into a new folder with this version.'
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
    """Difference of two methods, the mean over sites of :func:`compare` alone.

    Args:
        records: Run records.
        a: Name of the method in question.
        b: Name of the method it is measured against.
        metric: Per-image metric.

    Returns:
        a minus b.

    Raises:
        ProtocolError: As :func:`compare`.
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
