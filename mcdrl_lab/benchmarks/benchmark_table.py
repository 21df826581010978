"""Benchmark records as a table and a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from mcdrl_lab.results.text_cells import MISSING, markdown

from .part_shares import PARTS

# Distinguishable in greyscale and by colour-blind readers (Okabe and Ito).
_COLOURS = ('#0072B2', '#E69F00', '#D55E00', '#009E73', '#CC79A7', '#999999')


def comparison_table(records: Sequence[Mapping[str, Any]]) -> str:
    """The measurements, as a Markdown table.

    Args:
        records: From :func:`~mcdrl_lab.benchmarks.side_by_side.compare`.
    """
    rows = [
        {
            'parameters, M': f'{record["parameters"] / 1e6:.1f}',
            'GFLOPs': _scaled(record.get('flops'), 1e9, 1),
            'peak memory, MiB': _scaled(record.get('peak_memory'), 2**20, 0),
            'ms (quartiles)': '{median:.1f} ({low:.1f} to {high:.1f})'.format(
                **record['milliseconds']
            ),
            'images/s': f'{record["images_per_second"]:.2f}',
            'time ratio (95%)': _ratio(record['ratio']),
        }
        for record in records
    ]
    # Two records may have the same name: configs that only differ in their data.
    names = pd.Index([record['name'] for record in records], name='model')
    table = pd.DataFrame(rows, index=names)
    return markdown(table)


def _scaled(value: float | None, unit: float, digits: int) -> str:
    return MISSING if value is None else f'{value / unit:.{digits}f}'


def _ratio(value: Mapping[str, float] | None) -> str:
    if value is None:
        return MISSING
    return '{median:.3f} ({low:.3f} to {high:.3f})'.format(**value)


def shares_table(records: Sequence[Mapping[str, Any]]) -> str:
    """Share of the step's time by part, as Markdown; empty if none was recorded.

    Args:
        records: From :func:`~mcdrl_lab.benchmarks.side_by_side.compare`.
    """
    measured = [record for record in records if 'shares' in record]
    if not measured:
        return ''
    rows = [
        [f'{100 * record["shares"][part]:.1f}%' for part in PARTS]
        for record in measured
    ]
    names = [record['name'] for record in measured]
    index = pd.Index(names, name='share of the step')
    table = pd.DataFrame(rows, index=index, columns=list(PARTS))
    return markdown(table)


def comparison_plot(records: Sequence[Mapping[str, Any]]) -> Figure:
    """Bars of median time with quartiles, coloured by part where shares are known.

    Args:
        records: From :func:`~mcdrl_lab.benchmarks.side_by_side.compare`.
    """
    figure = Figure(figsize=(7.5, 1.4 + 0.45 * len(records)), layout='constrained')
    axes = figure.add_subplot()
    drawn = set()
    for row, record in enumerate(records):
        taken = record['milliseconds']
        left = 0.0
        parts = record.get('shares') or {'rest': 1.0}
        for part, colour in zip(PARTS, _COLOURS):
            width = parts.get(part, 0.0) * taken['median']
            # Skip bars thinner than a pixel: only the legend would show them.
            if width < 0.001 * taken['median']:
                continue
            whole = 'whole step' if 'shares' not in record else part
            axes.barh(
                row,
                width,
                left=left,
                color='#555555' if 'shares' not in record else colour,
                label=None if whole in drawn else whole,
            )
            drawn.add(whole)
            left += width
        axes.errorbar(
            taken['median'],
            row,
            xerr=[
                [taken['median'] - taken['low']],
                [taken['high'] - taken['median']],
            ],
            color='black',
            capsize=3,
        )
    axes.set_yticks(range(len(records)), [record['name'] for record in records])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    first = records[0]
    what = 'training step' if first['mode'] == 'train' else 'inference'
    axes.set_xlabel(
        f'milliseconds, {what}, batch {first["batch_size"]}, {first["size"]} px'
    )
    figure.legend(loc='outside upper center', ncols=4, frameon=False)
    return figure
