"""Comparison of methods on the images of each lesion class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import RunRecord

from .comparison import Comparison, compare, runs_of
from .scores import done
from .statistics import RESAMPLES, holm


def lesion_class_names(records: Iterable[RunRecord]) -> list[str]:
    """Lesion classes of the tested images, sorted by name.

    Args:
        records: Run records.

    Raises:
        ProtocolError: The record of an image with a lesion lacks its classes, or there
            is no lesion at all.
    """
    names: set[str] = set()
    for record in done(records):
        for image in record.images:
            if not image['has_lesion']:
                continue
            if not image.get('lesion_classes'):
                raise ProtocolError(
                    f'{record.method}, {record.held_out}, seed {record.seed}: image '
                    f'{image["image"]} has a lesion but no lesion_classes, which older '
                    'compact records lack. Make these records again from the plan: '
                    'python -m mcdrl_lab evidence keep.'
                )
            names.update(image['lesion_classes'])
    if not names:
        raise ProtocolError('no image of these runs has a lesion.')
    return sorted(names)


def of_lesion_class(records: Iterable[RunRecord], name: str) -> list[RunRecord]:
    """Restrict the finished runs to the images with a lesion of one class.

    Args:
        records: Run records.
        name: Name of the class; an image with two classes belongs to both.
    """
    return [
        replace(
            record,
            images=[i for i in record.images if name in i.get('lesion_classes', ())],
        )
        for record in done(records)
    ]


def compare_by_lesion_class(
    records: Iterable[RunRecord],
    a: str,
    others: Sequence[str],
    metric: str = 'dice',
    *,
    selection: str = 'validation',
    resamples: int = RESAMPLES,
    by_site: bool = True,
) -> list[Comparison]:
    """Compare one method with others, separately on the images of each lesion class.

    The score of an image is that of its whole foreground.

    Args:
        records: Run records.
        a: Name of the first method.
        others: Names of the methods it is compared with.
        metric: Per-image metric of images with a lesion.
        selection: Kind of runs, ``'validation'`` or ``'oracle'``.
        resamples: Number of bootstrap samples.
        by_site: Whether to compute the effect at each site too.

    Returns:
        A comparison for each class and each of ``others``, class by class. A class
        without an image that both methods were tested on is left out, with a note. The
        ``overall.p_holm`` are corrected over all these comparisons.

    Raises:
        ProtocolError: See :func:`lesion_class_names` and
            :func:`~mcdrl_lab.results.comparison.compare`.
    """
    records = list(records)
    runs = {name: runs_of(records, name, selection) for name in (a, *others)}
    wanted = [run for own in runs.values() for run in own]
    names = lesion_class_names(wanted)
    shared = {b: _shared_classes(runs[a], runs[b]) for b in others}
    found = []
    for name in names:
        # Leave out methods that share no tested image of this class with `a`.
        fitting = [b for b in others if name in shared[b] or not any(shared.values())]
        comparisons = compare(
            of_lesion_class(wanted, name),
            a,
            fitting,
            metric,
            selection=selection,
            resamples=resamples,
            by_site=by_site,
        )
        for comparison in comparisons:
            lacking = [one for one in names if one not in shared[comparison.b]]
            note = (
                f'Left out, since no image of it was tested with both: '
                f'{", ".join(lacking)}.'
            )
            notes = (*comparison.notes, *([note] if lacking else []))
            found.append(replace(comparison, lesion_class=name, notes=notes))
    corrected = holm([each.overall.p for each in found])
    return [
        replace(each, overall=replace(each.overall, p_holm=p))
        for each, p in zip(found, corrected)
    ]


def _shared_classes(a: Iterable[RunRecord], b: Iterable[RunRecord]) -> set[str]:
    """Lesion classes of the images in runs (site and seed) that both methods have."""
    keys = {(run.held_out, run.seed) for run in b}
    return {
        name
        for run in a
        if (run.held_out, run.seed) in keys
        for image in run.images
        for name in image.get('lesion_classes') or ()
    }
