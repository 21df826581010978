"""Tables of the metrics for the log."""

from collections.abc import Sequence

from prettytable import PrettyTable

from mcdrl_common.metric_names import CALIBRATION_METRICS, LESION_WISE_METRICS
from mcdrl_common.site_scores import (
    SURFACE_METRICS,
    THRESHOLD_METRICS,
    Metrics,
    by_lesion_type,
    by_site,
    site_mean,
    summarise,
    summarise_class,
    worst_site,
)

SITE_COLUMNS = dict(
    images='images',
    lesion_images='with lesion',
    mDice_fg='mDice_fg',
    mDice_fg_all='mDice_fg_all',
    mIoU_fg='mIoU_fg',
    mAcc_fg='mAcc_fg',
    mPrecision_fg='mPrecision_fg',
    mRecall_fg='mRecall_fg',
    mHD95='mHD95 (px)',
    mNSD='mNSD',
    mDice_fg_mean256='mDice_fg_mean256',
    pooled_Dice_fg='pooled_Dice_fg',
    missed_rate='missed',
    false_positive_rate='false positive',
    false_area='false area',
)
"""Metric -> head of its column."""

PLAIN = {'images', 'lesion_images', 'mHD95', *LESION_WISE_METRICS[-2:]}
"""Metrics that are not printed in per cent."""

LESION_COLUMNS = (
    'lesion_images',
    'mDice_fg',
    'mIoU_fg',
    'mPrecision_fg',
    'mRecall_fg',
    'mHD95',
    'mNSD',
    'missed_rate',
)

CLASS_COLUMNS = (
    'images',
    'mDice',
    'mIoU',
    'mPrecision',
    'mRecall',
    'pooled_Dice',
    'pooled_IoU',
    'false_positive_rate',
)


def site_table(records: Sequence[dict], left_out: Sequence[str] = ()) -> str:
    """One row per site, then the mean over sites and all images.

    Args:
        records: Per-image records.
        left_out: Metrics that were not computed.

    Returns:
        The table; per cent, distances in pixels, ``-`` where undefined. The worst
        site is marked.
    """
    rows = _site_rows(records, 'all images')
    worst = worst_site(records) if len(rows) > 1 else None
    rows = {f'{n} (worst)' if n == worst else n: row for n, row in rows.items()}
    return _table('site', rows, [c for c in SITE_COLUMNS if c not in left_out])


def lesion_wise_table(records: Sequence[dict]) -> str | None:
    """One row per site with lesion-wise metrics; None without any lesion."""
    if not any(record['has_lesion'] for record in records):
        return None
    rows = _site_rows(records, 'all lesions')
    return _table('lesions one by one', rows, LESION_WISE_METRICS)


def _site_rows(records: Sequence[dict], last: str) -> dict[str, Metrics]:
    """One row per site; for several sites also their mean, and all records together."""
    rows = {site: summarise(group) for site, group in by_site(records).items()}
    if len(rows) > 1:
        rows |= {'mean of sites': site_mean(records), last: summarise(records)}
    return rows


def lesion_table(records: Sequence[dict], left_out: Sequence[str] = ()) -> str | None:
    """One row per lesion type; None if there are fewer than two."""
    groups = by_lesion_type(records)
    if len(groups) < 2:
        return None
    rows = {name: summarise(group) for name, group in groups.items()}
    return _table('lesion type', rows, [c for c in LESION_COLUMNS if c not in left_out])


def class_table(records: Sequence[dict]) -> str | None:
    """One row per class other than the background; None if there is only one."""
    names = dict.fromkeys(n for r in records for n in r.get('classes', {}))
    if not names:
        return None
    rows = {name: summarise_class(records, name) for name in names}
    return _table('class', rows, CLASS_COLUMNS)


def calibration_table(metrics: Metrics) -> str:
    """One row per site: calibration of the lesion probability; lower is better.

    Args:
        metrics: Metrics of all sites, by their full names.
    """
    ending = f'/{CALIBRATION_METRICS[0]}'
    scopes = {
        name[len('site/') : -len(ending)]: name[: -len(ending)]
        for name in metrics
        if name.startswith('site/') and name.endswith(ending)
    }
    if len(scopes) > 1:
        scopes['mean of sites'] = 'site_mean'
    rows = {
        name: {column: metrics[f'{scope}/{column}'] for column in CALIBRATION_METRICS}
        for name, scope in scopes.items()
    }
    if len(scopes) > 1:
        rows['all pixels'] = {name: metrics[name] for name in CALIBRATION_METRICS}
    return _table('calibration', rows, CALIBRATION_METRICS)


def columns_left_out(surface: bool, thresholds: bool) -> tuple[str, ...]:
    """Metrics that the two options of the metric switch off."""
    return (() if surface else SURFACE_METRICS) + (
        () if thresholds else THRESHOLD_METRICS
    )


def _table(first: str, rows: dict[str, Metrics], columns: Sequence[str]) -> str:
    table = PrettyTable([first, *(SITE_COLUMNS.get(c, c) for c in columns)])
    table.align = 'r'
    table.align[first] = 'l'
    for name, metrics in rows.items():
        table.add_row([name, *(_cell(c, metrics.get(c)) for c in columns)])
    return table.get_string()


def _cell(column: str, value: float | None) -> str:
    if value is None:
        return '-'
    if column in PLAIN:
        return f'{value:.0f}' if column.endswith('images') else f'{value:.2f}'
    return f'{100 * value:.2f}'
