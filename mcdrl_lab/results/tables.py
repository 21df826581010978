"""Result tables: one row per method; columns for sites, their mean, the worst site."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from mcdrl_common.atomic_write import write_text
from mcdrl_lab.plans.records import RunRecord

from .image_metrics import lower_is_better
from .scores import RUN_COLUMNS, run_scores
from .statistics import mean_and_stderr
from .text_cells import MISSING, markdown, mean_and_error

ORACLE_MARK = '†'
ORACLE_NOTE = (
    f'{ORACLE_MARK} checkpoint chosen on the held-out site itself (oracle): not '
    'comparable with the other rows.'
)


def row_name(method: str, selection: str) -> str:
    """Name of a method's row, marked if its checkpoints were chosen on the test site.

    Args:
        method: Name of the method.
        selection: ``'validation'`` or ``'oracle'``.
    """
    return f'{method} {ORACLE_MARK}' if selection == 'oracle' else method


def result_table(records: Iterable[RunRecord], metric: str = 'dice') -> pd.DataFrame:
    """Means and standard errors over seeds, one row per method and selection.

    The mean over sites is computed for each seed that finished at every site. It is NaN
    if there is none, since a mean over some of the sites would not be comparable. A
    site where no run has the metric, as false positives if every image shows a lesion,
    is left out of the table. The worst site is the one with the worst mean over seeds.

    Args:
        records: Run records; failed runs are left out.
        metric: See :func:`~mcdrl_lab.results.scores.run_scores`.

    Returns:
        Index (method, selection), in order of appearance; columns ``SITE`` and
        ``SITE_stderr`` for every held-out site (sorted), ``mean``, ``mean_stderr``,
        ``worst``, ``worst_stderr``, ``worst_site`` and ``seeds`` (number of seeds
        that finished at every site).
    """
    scores = run_scores(records, metric)
    sites = sorted(scores.dropna(subset='score')['held_out'].unique())
    rows, names = [], []
    groups = scores.groupby(RUN_COLUMNS[:2], sort=False)
    for name, group in groups:
        wide = group.pivot(index='seed', columns='held_out', values='score')
        wide = wide.reindex(columns=sites)
        row: dict[str, float | str] = {}
        means: dict[str, float] = {}
        for site in sites:
            mean, error = mean_and_stderr(wide[site].dropna())
            row[site], row[f'{site}_stderr'] = mean, error
            means[site] = mean
        whole = wide.dropna()
        row['mean'], row['mean_stderr'] = mean_and_stderr(whole.mean(axis=1))
        known = {site: mean for site, mean in means.items() if not math.isnan(mean)}
        if len(known) == len(sites):
            pick = max if lower_is_better(metric) else min
            worst = pick(known, key=known.__getitem__)
            row['worst'], row['worst_stderr'] = row[worst], row[f'{worst}_stderr']
            row['worst_site'] = worst
        else:
            row['worst'] = row['worst_stderr'] = math.nan
            row['worst_site'] = ''
        row['seeds'] = len(whole)
        rows.append(row)
        names.append(name)
    index = pd.MultiIndex.from_tuples(names, names=RUN_COLUMNS[:2])
    return pd.DataFrame(rows, index=index)


def readable_table(table: pd.DataFrame) -> pd.DataFrame:
    """Format means and standard errors as text cells.

    Args:
        table: From :func:`result_table`.

    Returns:
        Text cells with index ``method``; oracle rows are marked.
    """
    columns = [c[: -len('_stderr')] for c in table.columns if c.endswith('_stderr')]
    cells = pd.DataFrame(
        {
            column: [
                mean_and_error(mean, error)
                for mean, error in zip(table[column], table[f'{column}_stderr'])
            ]
            for column in columns
        }
    )
    cells['seeds'] = table['seeds'].astype(str).to_list()
    cells.index = pd.Index([row_name(*name) for name in table.index], name='method')
    return cells


def latex(cells: pd.DataFrame) -> str:
    """A table of text cells as a LaTeX ``tabular`` (booktabs).

    Args:
        cells: Text cells with a named index.
    """
    layout = 'l' + 'r' * len(cells.columns)
    text = cells.reset_index().to_latex(index=False, escape=True, column_format=layout)
    # Characters that pandas does not escape.
    symbols = {ORACLE_MARK: r'$^{\dagger}$', '±': r'$\pm$', MISSING: '--'}
    return text.translate(str.maketrans(symbols))


def write_tables(
    records: Iterable[RunRecord], folder: str | os.PathLike, metric: str = 'dice'
) -> list[Path]:
    """Write one metric's table as Markdown, CSV (plain numbers) and LaTeX.

    Args:
        records: Run records.
        folder: Where to write ``table_METRIC.md``, ``.csv`` and ``.tex``.
        metric: See :func:`~mcdrl_lab.results.scores.run_scores`.

    Returns:
        Paths of the three files.
    """
    table = result_table(records, metric)
    cells = readable_table(table)
    oracle = 'oracle' in table.index.get_level_values('selection')
    note = f'\n{ORACLE_NOTE}\n' if oracle else ''
    text = markdown(cells)
    caption = f'{metric}: mean over seeds ± standard error, by held-out site.\n\n'
    # Not with_suffix, which would replace the part after a dot in a site's name.
    base = f'{Path(folder)}/table_{metric.replace("/", "_")}'
    files = {
        Path(f'{base}.md'): caption + text + note,
        Path(f'{base}.csv'): table.to_csv(),
        Path(f'{base}.tex'): latex(cells) + (f'% {ORACLE_NOTE}\n' if oracle else ''),
    }
    for path, content in files.items():
        write_text(path, content)
    return list(files)
