"""Comparisons as files: Markdown, CSV and pictures of the effects."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mcdrl_common.atomic_write import write_text

from .comparison import Comparison
from .comparison_tables import comparison_markdown, effect_table
from .image_metrics import PERCENT_METRICS
from .plots import effect_plot, save_figure


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
    folder = Path(folder)
    first = comparisons[0]
    base = folder / f'compare_{first.a}_{first.metric}'
    tables = []
    files = [Path(f'{base}.md'), Path(f'{base}.csv')]
    for comparison in comparisons:
        table = effect_table(comparison)
        tables.append(table.assign(a_name=comparison.a, b_name=comparison.b))
        unit = 'points' if comparison.metric in PERCENT_METRICS else 'pixels'
        title = f'{comparison.metric}: {comparison.a} - {comparison.b} ({unit})'
        name = folder / f'effect_{comparison.a}_{comparison.b}_{comparison.metric}'
        files += save_figure(effect_plot(table, title), name)
    text = '\n'.join(comparison_markdown(comparison) for comparison in comparisons)
    write_text(files[0], text)
    write_text(files[1], pd.concat(tables).to_csv(index=False))
    return files
