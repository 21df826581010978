"""Per-image records -> flat dict of metrics, by pure functions. None means undefined.

Means are unweighted means over images, summed exactly (``statistics.fmean``), so the
order of the records does not matter. A mean skips no undefined value: it is None if one
of its images lacks the score.
"""

from collections.abc import Iterable, Sequence
from statistics import fmean

from .dice_all import dice_all
from .lesion_counts import false_lesions, recall
from .metric_names import (
    ALL_IMAGES_DICE,
    COUNT_METRICS,
    FALSE_LESIONS,
    HEADLINE,
    LESION_RECALLS,
)
from .overlap_scores import Counts, none_if_nan, overlap_scores

Metrics = dict[str, float | None]

LESION_MEANS = dict(
    mDice_fg='dice',
    mIoU_fg='iou',
    mAcc_fg='accuracy',
    mPrecision_fg='precision',
    mRecall_fg='recall',
    mHD95='hd95',
    mNSD='nsd',
    mDice_fg_mean256='dice_mean256',
    mIoU_fg_mean256='iou_mean256',
)
"""Metric -> field of the record it is the mean of, over images with a lesion.

The ending ``_fg`` also keeps the names apart from those of mmseg's ``IoUMetric``
(mAcc, mDice, ...): two metrics of one evaluator must not share a name.
"""

LESION_FREE_MEANS = dict(false_positive_rate='false_positive', false_area='false_area')
"""The same over images without a lesion."""

POOLED = dict(
    pooled_Dice_fg='dice',
    pooled_IoU_fg='iou',
    pooled_Acc='accuracy',
    pooled_Precision='precision',
    pooled_Recall='recall',
)
"""Metric -> score of the summed counts of all images."""

SURFACE_METRICS = ('mHD95', 'mNSD')
THRESHOLD_METRICS = ('mDice_fg_mean256', 'mIoU_fg_mean256')


def aggregate(records: Sequence[dict]) -> Metrics:
    """All metrics of a set of per-image records.

    Args:
        records: Per-image records.

    Returns:
        Keys without a slash are over all images. ``site/<site>/<metric>``,
        ``lesion/<lesion type>/<metric>`` and, with several lesion classes,
        ``class/<class>/<metric>`` are over subsets. ``site_mean/<metric>`` is the
        unweighted mean over the sites that have the metric. ``worst_site/<metric>`` is
        that of the site with the lowest ``mDice_fg``. See docs/metrics.md.
    """
    sites = by_site(records)
    metrics = dict(summarise(records))
    for site, group in sites.items():
        metrics.update(_scoped(f'site/{site}', group))
    metrics.update(_prefixed('site_mean', site_mean(records)))
    worst = worst_site(records)
    undefined: Metrics = dict.fromkeys(summarise([]))
    metrics.update(
        _prefixed('worst_site', summarise(sites[worst]) if worst else undefined)
    )
    for name, group in by_lesion_type(records).items():
        metrics.update(_scoped(f'lesion/{name}', group, lesion_images_only=True))
    class_names = _class_names(records)
    for name in class_names:
        metrics.update(_prefixed(f'class/{name}', summarise_class(records, name)))
    if class_names:
        metrics.update(_prefixed('class_mean', class_mean(records)))
    return metrics


def summarise(records: Sequence[dict]) -> Metrics:
    """Metrics of one group of images.

    Args:
        records: Per-image records of the group.

    Returns:
        Every metric of the group by its plain name.
    """
    with_lesion = [r for r in records if r['has_lesion']]
    lesion_free = [r for r in records if r['false_positive'] is not None]
    metrics: Metrics = {
        name: _mean(r[field] for r in with_lesion)
        for name, field in LESION_MEANS.items()
    }
    # Images without a labelled pixel are in neither group and count nowhere.
    metrics[ALL_IMAGES_DICE] = _mean(map(dice_all, [*with_lesion, *lesion_free]))
    metrics['missed_rate'] = _mean(r['tp'] + r['fp'] == 0 for r in with_lesion)
    for name, field in LESION_FREE_MEANS.items():
        metrics[name] = _mean(r[field] for r in lesion_free)
    pooled = _pooled_scores(records)
    metrics.update({name: pooled[score] for name, score in POOLED.items()})
    metrics.update(_lesion_wise(records))
    sizes = (len(records), len(with_lesion), len(lesion_free))
    metrics.update(zip(COUNT_METRICS, map(float, sizes)))
    return metrics


def _lesion_wise(records: Sequence[dict]) -> Metrics:
    """Lesion-wise metrics; undefined if an image has no lesion-wise counts."""
    counts = [r['lesions'] for r in records if 'lesions' in r]
    whole = len(counts) == len(records)
    metrics: Metrics = {
        f'pooled_{name}': recall(counts, name) if whole else None
        for name in LESION_RECALLS
    }
    for name in FALSE_LESIONS:
        per_image = _mean(false_lesions(own, name) for own in counts)
        metrics[f'm{name.capitalize()}'] = per_image if whole else None
    return metrics


def summarise_class(records: Sequence[dict], name: str) -> Metrics:
    """One class against the rest, over records that have ``classes``.

    Args:
        records: Per-image records.
        name: A class other than the background.

    Returns:
        Means over the images that hold the class, pooled scores over all images,
        and the share of the images without the class in which it was predicted.
    """
    of_class = [r['classes'][name] for r in records if name in r.get('classes', {})]
    present = [c for c in of_class if c['tp'] + c['fn'] > 0]
    absent = [c for c in of_class if c['tp'] + c['fn'] == 0 and c['fp'] + c['tn'] > 0]
    pooled = _pooled_scores(of_class)
    return dict(
        mDice=_mean(c['dice'] for c in present),
        mIoU=_mean(c['iou'] for c in present),
        mPrecision=_mean(c['precision'] for c in present),
        mRecall=_mean(c['recall'] for c in present),
        pooled_Dice=pooled['dice'],
        pooled_IoU=pooled['iou'],
        false_positive_rate=_mean(c['fp'] > 0 for c in absent),
        images=float(len(present)),
    )


def by_site(records: Iterable[dict]) -> dict[str, list[dict]]:
    """Records grouped by site, sites in alphabetical order."""
    groups: dict[str, list[dict]] = {}
    for record in records:
        groups.setdefault(record['site'], []).append(record)
    return dict(sorted(groups.items()))


def by_lesion_type(records: Iterable[dict]) -> dict[str, list[dict]]:
    """Images with a lesion by lesion type; an image with two types is in both."""
    groups: dict[str, list[dict]] = {}
    for record in records:
        if record['has_lesion']:
            for name in dict.fromkeys(record['lesion_classes']):
                groups.setdefault(name, []).append(record)
    return dict(sorted(groups.items()))


def site_mean(records: Sequence[dict]) -> Metrics:
    """Unweighted mean over the sites that have the metric.

    Args:
        records: Per-image records.

    Returns:
        Every metric except numbers of images, and ``sites``, the number of sites in the
        mean of :data:`HEADLINE`.
    """
    groups = [summarise(group) for group in by_site(records).values()]
    defined = {
        name: [group[name] for group in groups if group[name] is not None]
        for name in summarise([])
        if name not in COUNT_METRICS
    }
    means: Metrics = {name: _mean(values) for name, values in defined.items()}
    means['sites'] = float(len(defined[HEADLINE]))
    return means


def class_mean(records: Sequence[dict]) -> Metrics:
    """Unweighted mean over the classes that have the metric, without background."""
    groups = [summarise_class(records, name) for name in _class_names(records)]
    return {
        name: _mean(group[name] for group in groups if group[name] is not None)
        for name in groups[0]
        if name != 'images'
    }


def worst_site(records: Iterable[dict]) -> str | None:
    """Site with the lowest mean foreground Dice; for ties the first by name.

    Args:
        records: Per-image records.

    Returns:
        Its name, or None if no site has an image with a lesion.
    """
    dice = {
        site: summarise(group)[HEADLINE] for site, group in by_site(records).items()
    }
    defined = {site: value for site, value in dice.items() if value is not None}
    return min(defined, key=defined.__getitem__) if defined else None


def sites_without_lesion(records: Iterable[dict]) -> list[str]:
    """Sites without any lesion image, for which no foreground score exists."""
    return [
        site
        for site, group in by_site(records).items()
        if not any(record['has_lesion'] for record in group)
    ]


def _scoped(
    scope: str, records: Sequence[dict], lesion_images_only: bool = False
) -> Metrics:
    """Metrics of a group under ``scope/``."""
    metrics = summarise(records)
    if lesion_images_only:
        # For images with a lesion, the Dice over all images equals Dice.
        for name in (
            *(*LESION_FREE_MEANS, ALL_IMAGES_DICE),
            *('images', 'lesion_free_images'),
        ):
            del metrics[name]
    return _prefixed(scope, metrics)


def _prefixed(scope: str, metrics: Metrics) -> Metrics:
    return {f'{scope}/{name}': value for name, value in metrics.items()}


def _class_names(records: Iterable[dict]) -> list[str]:
    """Classes of the records in the order of the dataset."""
    return list(dict.fromkeys(n for r in records for n in r.get('classes', {})))


def _pooled_scores(counted: Sequence[dict]) -> Metrics:
    """Scores of the summed counts of dicts with ``tp``, ``fp``, ``fn``, ``tn``."""
    total = Counts(*(sum(c[field] for c in counted) for field in Counts._fields))
    return {name: none_if_nan(v) for name, v in overlap_scores(total).items()}


def _mean(values: Iterable[float | bool | None]) -> float | None:
    """Exact mean; None without values, or if one of them is undefined."""
    values = list(values)
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None
