"""The tables of a report, as text cells."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mcdrl_lab.plans.records import RunRecord
from mcdrl_lab.results.comparison import Comparison
from mcdrl_lab.results.comparison_tables import comparison_cells
from mcdrl_lab.results.image_metrics import value_of
from mcdrl_lab.results.scores import done, image_scores
from mcdrl_lab.results.statistics import these_sites_interval
from mcdrl_lab.results.tables import row_name
from mcdrl_lab.results.text_cells import MISSING, interval_ends, number

from .report_source import ReportSource

MEAN_ROW = 'mean of sites'
_FURTHER = {
    'dice_all': 'Dice, all images (%)',
    'iou': 'IoU (%)',
    'hd95': 'HD95 (pixels)',
    'false_positive': 'false positives (%)',
}

_AREA = {'tp', 'fn'}


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        caption: Caption of the table.
        columns: Heads of the columns.
        rows: Cells of each row; the first one is its name.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def by_method(records: Iterable[RunRecord]) -> dict[str, list[RunRecord]]:
    """Row name of each method -> its finished runs, in the order of the records."""
    groups: dict[str, list[RunRecord]] = {}
    for record in done(records):
        groups.setdefault(_row_name(record), []).append(record)
    return groups


def results_table(name: str, records: Sequence[RunRecord]) -> Table:
    """Scores of one method at each held-out site and over all of them.

    Args:
        name: Name of the method.
        records: Its finished runs.
    """
    dice = image_scores(records, 'dice')
    further = {metric: image_scores(records, metric) for metric in _FURTHER}
    rows = []
    sites = sorted({record.held_out for record in records})
    for site in sites:
        own = dice[dice['held_out'] == site]
        images = _images_of(records, site)
        rows.append(
            [
                site,
                _estimate(own),
                number(own['score'].median()),
                *(
                    number(table.loc[table['held_out'] == site, 'score'].mean())
                    for table in further.values()
                ),
                str(len(images)),
                str(sum(map(_is_lesion_free, images))),
                str(len({r.seed for r in records if r.held_out == site})),
            ]
        )
    if len(sites) > 1:
        means = [
            number(table.groupby('held_out')['score'].mean().mean())
            for table in further.values()
        ]
        total = [sum(int(row[i]) for row in rows) for i in (-3, -2)]
        seeds = str(len({r.seed for r in records}))
        rows.append(
            [MEAN_ROW, _estimate(dice), MISSING, *means, *map(str, total), seeds]
        )
    columns = ['held-out site', 'Dice (%), 95 % interval', 'median', *_FURTHER.values()]
    columns += ['images', 'of them without lesion', 'seeds']
    return Table(name, columns, rows)


def side_by_side(groups: Mapping[str, Sequence[RunRecord]]) -> Table | None:
    """Dice of all methods side by side.

    Args:
        groups: Method -> its finished runs.

    Returns:
        A table with one column per method, or None for a single method. A method that
        has not finished at every site has no mean.
    """
    if len(groups) < 2:
        return None
    scores = {
        name: image_scores(runs, 'dice').groupby('held_out')['score'].mean()
        for name, runs in groups.items()
    }
    sites = sorted({site for means in scores.values() for site in means.index})
    rows = [
        [site, *(number(means.get(site, math.nan)) for means in scores.values())]
        for site in sites
    ]
    if len(sites) > 1:
        # A mean over fewer sites would not be comparable with the other methods.
        means = [own.reindex(sites).mean(skipna=False) for own in scores.values()]
        rows.append([MEAN_ROW, *map(number, means)])
    return Table('Dice (%) of all methods', ['held-out site', *scores], rows)


def summary(name: str, records: Sequence[RunRecord]) -> dict[str, str]:
    """The main numbers of a method, for the top of the report.

    Args:
        name: Name of the method.
        records: Its finished runs.

    Returns:
        ``name``, ``dice``, ``interval``, ``worst`` and ``sites``, as text.
    """
    dice = image_scores(records, 'dice')
    by_site = dice.groupby('held_out')['score'].mean()
    worst = MISSING
    if len(by_site):
        worst = f'{by_site.idxmin()} ({by_site.min():.1f} %)'
    return dict(
        name=name,
        dice=number(by_site.mean()),
        interval=_interval(dice),
        worst=worst,
        sites=str(len(by_site)),
    )


def comparison_table(comparison: Comparison) -> Table:
    """Differences of two methods with their intervals.

    Args:
        comparison: From :func:`~mcdrl_lab.results.comparison.compare`.
    """
    cells = comparison_cells(comparison).drop(columns='Wilcoxon p')
    heads = {'difference': 'difference (points)', 'p (Holm)': 'p (Wilcoxon, Holm)'}
    cells = cells.rename(columns=heads).reset_index()
    caption = f'{comparison.title}, Dice'
    return Table(caption, list(cells.columns), cells.to_numpy().tolist())


def data_table(records: Iterable[RunRecord]) -> Table:
    """Images, lesions and sequences of the tested sites, from the records.

    Args:
        records: Run records.
    """
    records = done(records)
    rows = []
    for site in sorted({record.held_out for record in records}):
        images = _images_of(records, site)
        lesions = sorted(
            {n for image in images for n in image.get('lesion_classes', ())}
        )
        areas = [
            100 * (image['tp'] + image['fn']) / image['pixels']
            for image in images
            if image['has_lesion'] and image.get('pixels') and image.keys() >= _AREA
        ]
        sequences = [image.get('sequence') for image in images]
        known = {sequence for sequence in sequences if sequence is not None}
        rows.append(
            [
                site,
                str(len(images)),
                str(sum(map(_is_lesion_free, images))),
                ', '.join(lesions) or MISSING,
                number(float(np.median(areas)) if areas else math.nan),
                str(len(known)) if known else 'unknown',
            ]
        )
    columns = ['site', 'images', 'without lesion', 'lesion types']
    columns += ['lesion area, median (% of image)', 'sequences']
    return Table('Tested images', columns, rows)


def runs_table(source: ReportSource) -> Table:
    """Every run, finished or not.

    Args:
        source: The results.
    """
    rows = []
    for record in source.records:
        scores = image_scores([record], 'dice')['score']
        budget = ', '.join(f'{k} {v}' for k, v in record.budget.items()) or MISSING
        minutes = record.duration_s / 60
        rows.append(
            [
                _row_name(record),
                record.held_out,
                str(record.seed) if source.is_plan else MISSING,
                number(scores.mean()),
                f'{minutes:.1f}' if record.duration_s else MISSING,
                budget,
                record.status + (f': {record.error}' if record.error else ''),
            ]
        )
    columns = ['method', 'held-out site', 'seed', 'Dice (%)', 'minutes', 'budget']
    return Table('Runs', [*columns, 'status'], rows)


def versions_table(records: Iterable[RunRecord], own: Mapping[str, str]) -> Table:
    """Versions of the packages that the runs used, and that the report was made with.

    Args:
        records: Run records.
        own: Package -> version that the report was made with.
    """
    used: dict[str, dict[str, None]] = {}
    for record in records:
        for package, version in record.versions.items():
            used.setdefault(package, {})[version] = None
    rows = [
        [
            package,
            ', '.join(used.get(package, {})) or MISSING,
            own.get(package, MISSING),
        ]
        for package in dict.fromkeys([*used, *own])
    ]
    return Table('Versions', ['package', 'runs', 'this report'], rows)


def commands(source: ReportSource) -> list[str]:
    """Commands that train and test the runs again, for those whose folder exists.

    Args:
        source: The results.
    """
    if not source.is_plan:
        return []
    lines = []
    for record in source.records:
        folder = source.root / record.folder
        if not (folder / 'config.py').is_file():
            continue
        # A new folder: the results in the run's own folder must not be overwritten.
        again = shlex.quote(f'{folder}-again')
        config = shlex.quote(f'{folder}/config.py')
        lines.append(f'python tools/train.py {config} --work-dir {again}')
        for checkpoint in sorted(folder.glob('best_*.pth')):
            lines.append(
                f'python tools/test.py {config} {shlex.quote(str(checkpoint))} '
                f'--work-dir {again}'
            )
    return lines


def _row_name(record: RunRecord) -> str:
    return row_name(record.method, record.selection)


def _images_of(records: Iterable[RunRecord], site: str) -> list[dict]:
    """Records of a site's tested images, each image once over all runs."""
    images = {
        image['image']: image
        for record in records
        if record.held_out == site
        for image in record.images
    }
    return [images[name] for name in sorted(images)]


def _is_lesion_free(image: dict) -> bool:
    """Whether an image has no lesion; False also without any labelled pixel."""
    return value_of(image, 'false_positive') is not None


def _estimate(scores: pd.DataFrame) -> str:
    """Mean over sites with its interval, from rows of :func:`image_scores`."""
    if scores.empty:
        return MISSING
    mean = scores.groupby('held_out')['score'].mean().mean()
    interval = _interval(scores)
    return f'{mean:.1f}' + (f' ({interval})' if interval != MISSING else '')


def _interval(scores: pd.DataFrame) -> str:
    if scores.empty:
        return MISSING
    interval = these_sites_interval(scores, column='score')
    return interval_ends(interval, '.1f', 0.0, 100.0)
