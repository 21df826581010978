"""Comparisons as tables: of numbers, and as Markdown."""

from __future__ import annotations

import math

import pandas as pd

from .comparison import Comparison
from .text_cells import ends, markdown, p_value

WILCOXON_NOTE = (
    'The Wilcoxon test looks at these sequences and these trained networks; the '
    'interval also counts how much other seeds would change.'
)


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


def comparison_markdown(comparison: Comparison) -> str:
    """A comparison as a Markdown section.

    Args:
        comparison: From :func:`compare`.
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
    notes = [WILCOXON_NOTE, *comparison.notes]
    if comparison.new_sites is None:
        notes.append('Too few sites for an interval about new sites.')
    title = f'## {comparison.a} against {comparison.b}, {comparison.metric}\n\n'
    return title + markdown(cells) + ''.join(f'\n- {note}' for note in notes) + '\n'
