"""Comparisons as tables of numbers, as Markdown, and as files with pictures."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mcdrl_common.atomic_write import write_text

from .comparison import Comparison
from .image_metrics import unit_of
from .lesion_classes import ClassComparison
from .text_cells import ends, interval_ends, markdown, p_value, signed

_WILCOXON = 'The Wilcoxon test looks at these sequences and these trained networks'


def effect_table(comparison: Comparison) -> pd.DataFrame:
    """All effects of a comparison as numbers, the mean over sites first.

    Args:
        comparison: From :func:`compare`.

    Returns:
        Columns label, a, b, difference, low, high, p, p_holm, images, seeds; with
        enough sites, a second row gives the interval with whole sites drawn.
    """
    rows = []
    for effect in (comparison.overall, *comparison.sites):
        rows.append(
            {
                'label': effect.site or 'mean over these sites',
                'a': effect.a,
                'b': effect.b,
                'difference': effect.difference,
                'low': effect.interval.low,
                'high': effect.interval.high,
                'p': effect.p,
                'p_holm': effect.p_holm,
                'images': effect.images,
                'seeds': effect.seeds,
            }
        )
    if comparison.new_sites is not None:
        ends = {'low': comparison.new_sites.low, 'high': comparison.new_sites.high}
        undefined = {'p': math.nan, 'p_holm': math.nan}
        rows.insert(1, {**rows[0], 'label': 'mean, new sites', **ends, **undefined})
    return pd.DataFrame(rows)


def comparison_cells(comparison: Comparison) -> pd.DataFrame:
    """All effects of a comparison as the cells that people read.

    Args:
        comparison: From :func:`compare`.

    Returns:
        The rows of :func:`effect_table`, by ``held-out site``.
    """
    table = effect_table(comparison)
    cells = pd.DataFrame(
        {
            comparison.a: [f'{v:.1f}' for v in table['a']],
            comparison.b: [f'{v:.1f}' for v in table['b']],
            'difference': [f'{v:+.1f}' for v in table['difference']],
            '95 % interval': [
                ends(low, high) for low, high in zip(table['low'], table['high'])
            ],
            'Wilcoxon p': [p_value(v) for v in table['p']],
            'p (Holm)': [p_value(v) for v in table['p_holm']],
            'images': table['images'].astype(str),
            'seeds': table['seeds'].astype(str),
        }
    )
    cells.index = pd.Index(table['label'], name='held-out site')
    return cells


def overall_cells(comparison: Comparison) -> dict[str, str]:
    """The mean over sites of a comparison, as the cells that people read.

    Args:
        comparison: From :func:`compare`.
    """
    effect = comparison.overall
    return {
        'difference': signed(effect.difference),
        '95 %, these sites': interval_ends(effect.interval),
        '95 %, new sites': interval_ends(comparison.new_sites),
        'p (Holm)': p_value(effect.p_holm),
    }


def comparison_markdown(comparison: Comparison) -> str:
    """A comparison as a Markdown section.

    Args:
        comparison: From :func:`compare`.
    """
    cells = comparison_cells(comparison)
    notes = [_wilcoxon_note([comparison]), *comparison.notes]
    if comparison.new_sites is None:
        notes.append('Too few sites for an interval about new sites.')
    title = f'## {comparison.title}, {comparison.metric}\n\n'
    return title + markdown(cells) + ''.join(f'\n- {note}' for note in notes) + '\n'


def _wilcoxon_note(comparisons: Sequence[Comparison]) -> str:
    """What the test looks at; of one seed the interval looks at no more."""
    if all(each.overall.seeds == 1 for each in comparisons):
        return f'{_WILCOXON}.'
    return f'{_WILCOXON}; the interval also counts how much other seeds would change.'


def lesion_class_table(found: Sequence[ClassComparison]) -> pd.DataFrame:
    """Effects by lesion class as numbers.

    Args:
        found: From
            :func:`~mcdrl_lab.results.lesion_classes.compare_by_lesion_class`.

    Returns:
        Columns lesion_class, a_name, b_name, and those of :func:`effect_table`; p_holm
        of the means over sites is corrected over all classes, that at single sites
        over the sites of one class.
    """
    tables = []
    for each in found:
        table = effect_table(each.comparison)
        table.insert(0, 'lesion_class', each.lesion_class)
        table.insert(1, 'a_name', each.comparison.a)
        table.insert(2, 'b_name', each.comparison.b)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def lesion_class_cells(found: Sequence[ClassComparison]) -> pd.DataFrame:
    """Two methods by lesion class, means over sites, as the cells that people read.

    Args:
        found: The comparisons of two methods.
    """
    rows = {}
    for each in found:
        comparison, effect = each.comparison, each.comparison.overall
        rows[each.lesion_class] = {
            comparison.a: f'{effect.a:.1f}',
            comparison.b: f'{effect.b:.1f}',
            **overall_cells(comparison),
            'images': str(effect.images),
            'seeds': str(effect.seeds),
        }
    return pd.DataFrame(rows).T.rename_axis('lesion class')


def lesion_class_markdown(found: Sequence[ClassComparison]) -> str:
    """Comparisons by lesion class as Markdown, a section for each pair of methods.

    Args:
        found: From
            :func:`~mcdrl_lab.results.lesion_classes.compare_by_lesion_class`.
    """
    sections = []
    for b in dict.fromkeys(each.comparison.b for each in found):
        own = [each for each in found if each.comparison.b == b]
        first = own[0].comparison
        title = f'## {first.title}, {first.metric}, by lesion class\n\n'
        notes = dict.fromkeys(note for e in own for note in e.comparison.notes)
        sections.append(
            title
            + markdown(lesion_class_cells(own))
            + ''.join(
                f'\n- {note}'
                for note in (_wilcoxon_note([e.comparison for e in own]), *notes)
            )
            + '\n'
        )
    return '\n'.join(sections)


def write_comparisons(
    comparisons: Sequence[Comparison], folder: str | os.PathLike
) -> list[Path]:
    """Write comparisons as Markdown, CSV and pictures of the effects.

    Args:
        comparisons: From :func:`~mcdrl_lab.results.comparison.compare`.
        folder: Where to write.

    Returns:
        Paths of all files written.
    """
    from .plots import effect_plot, save_figure  # Matplotlib takes its time

    folder = Path(folder)
    base = comparison_base(folder, comparisons[0])
    tables = []
    files = [Path(f'{base}.md'), Path(f'{base}.csv')]
    for comparison in comparisons:
        table = effect_table(comparison)
        tables.append(table.assign(a_name=comparison.a, b_name=comparison.b))
        unit = unit_of(comparison.metric).replace('%', 'points')
        methods = comparison.title.replace(' against ', ' - ')
        title = f'{comparison.metric}: {methods} ({unit})'
        names = f'{comparison.a}_{comparison.b}{_ending(comparison)}'
        name = folder / f'effect_{names}_{comparison.metric}'
        files += save_figure(effect_plot(table, title), name)
    text = '\n'.join(comparison_markdown(comparison) for comparison in comparisons)
    write_text(files[0], text)
    write_text(files[1], pd.concat(tables).to_csv(index=False))
    return files


def comparison_base(folder: Path, comparison: Comparison) -> Path:
    """Path of a comparison's files, less their ending.

    Args:
        folder: Where they are.
        comparison: From :func:`~mcdrl_lab.results.comparison.compare`.
    """
    name = f'compare_{comparison.a}{_ending(comparison)}_{comparison.metric}'
    return folder / name


def _ending(comparison: Comparison) -> str:
    """As of the folders of runs whose checkpoints the test site chose."""
    return '-oracle' if comparison.selection == 'oracle' else ''
