"""The generated parts of the pages: each is a function from records to Markdown."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from mcdrl_common.palette import LINE_COLORS
from mcdrl_lab.plans.records import RunRecord
from mcdrl_lab.results.comparison import (
    LEFT_OUT,
    Comparison,
    compare,
    left_out_note,
    mean_difference,
)
from mcdrl_lab.results.comparison_tables import lesion_class_cells, overall_cells
from mcdrl_lab.results.lesion_classes import (
    compare_by_lesion_class,
    lesion_class_names,
    of_lesion_class,
)
from mcdrl_lab.results.scores import done, run_scores
from mcdrl_lab.results.statistics import new_draws_interval
from mcdrl_lab.results.tables import readable_table, result_table
from mcdrl_lab.results.text_cells import MISSING, interval_ends, markdown, signed

_SECONDS_AN_HOUR = 3600
_TITLES = {
    'dice': 'Dice',
    'dice_all': 'Dice over all images',
    'false_positive': 'false positives',
}


def scores_block(records: Sequence[RunRecord]) -> str:
    """Dice of each method at each held-out site.

    If there are lesion-free images, two columns are added: the means over sites of Dice
    over all images, where an empty prediction of a lesion-free image counts 1, and of
    false positives.

    Args:
        records: Run records.
    """
    cells = readable_table(result_table(records, 'dice'))
    # Without lesion-free images there are no false positives to show.
    if run_scores(records, 'false_positive')['score'].notna().any():
        for title, metric in (
            ('all images', 'dice_all'),
            ('false positives', 'false_positive'),
        ):
            means = readable_table(result_table(records, metric))['mean']
            cells.insert(len(cells.columns) - 1, title, means)
    return markdown(cells)


def compare_block(
    records: Sequence[RunRecord],
    method: str,
    others: Sequence[str] = (),
    metric: str = 'dice',
) -> str:
    """Compare one method with others: differences, intervals, corrected tests.

    Args:
        records: Run records.
        method: The first method.
        others: Methods it is compared with; by default all others.
        metric: ``'dice'``, ``'dice_all'`` over all images, or ``'false_positive'``
            on those without lesion.
    """
    names = list(others) or _others(records, method)
    comparisons = compare(records, method, names, metric, by_site=False)
    rows = {f'{method} - {c.b}': _effect_cells(c) for c in comparisons}
    table = pd.DataFrame(rows).T.rename_axis(f'difference in {_TITLES[metric]}')
    notes = dict.fromkeys(itertools.chain(*(c.notes for c in comparisons)))
    return markdown(table) + ''.join(f'\n- {note}' for note in notes) + '\n'


def draws_block(
    draws: Mapping[str, Sequence[RunRecord]],
    method: str,
    others: Sequence[str] = (),
    metric: str = 'dice',
) -> str:
    """Compare one method with others on several draws of the data, and on average.

    Args:
        draws: Name of the draw -> its run records.
        method: The first method.
        others: Methods it is compared with; by default all others of the first draw.
        metric: ``'dice'``, ``'dice_all'`` over all images, or ``'false_positive'``
            on those without lesion.
    """
    rows = {}
    notes: dict[str, str | None] = {}
    for other in list(others) or _others(next(iter(draws.values())), method):
        differences = {
            name: mean_difference(records, method, other, metric)
            for name, records in draws.items()
        }
        rows[f'{method} - {other}'] = _draws_cells(differences)
        notes |= {
            f'{method} - {other}, {name}': left_out_note(records, method, other)
            for name, records in draws.items()
        }
    title = f'difference in {_TITLES[metric]}'
    return markdown(pd.DataFrame(rows).T.rename_axis(title)) + _as_list(notes)


def lesion_classes_block(records: Sequence[RunRecord], a: str, b: str) -> str:
    """Compare two methods on the images with a lesion of each class.

    Args:
        records: Run records with the lesion classes of images.
        a: The first method.
        b: The method it is compared with.
    """
    found = compare_by_lesion_class(records, a, [b], by_site=False)
    return markdown(lesion_class_cells(found))


def draws_lesion_classes_block(
    draws: Mapping[str, Sequence[RunRecord]], a: str, b: str
) -> str:
    """The difference of two methods by lesion class, on several draws of the data.

    Args:
        draws: Name of the draw -> its run records, with the lesion classes of images.
        a: The first method.
        b: The method it is compared with.
    """
    rows = {}
    for lesion_class in lesion_class_names(r for own in draws.values() for r in own):
        differences = {
            name: mean_difference(of_lesion_class(records, lesion_class), a, b)
            for name, records in draws.items()
        }
        rows[lesion_class] = _draws_cells(differences)
    notes = {name: left_out_note(records, a, b) for name, records in draws.items()}
    table = markdown(pd.DataFrame(rows).T.rename_axis(f'Dice, {a} - {b}'))
    return table + _as_list(notes)


def _draws_cells(differences: Mapping[str, float]) -> dict[str, str]:
    values = list(differences.values())
    return {
        **{name: signed(value) for name, value in differences.items()},
        'mean': signed(fmean(values)),
        '95 %, new draws': interval_ends(new_draws_interval(values)),
    }


def sweep_block(
    records: Sequence[RunRecord],
    methods: Sequence[str],
    reference: str,
    costs: Mapping[str, Mapping[str, Any]],
) -> str:
    """Settings of one option side by side: Dice, difference and cost.

    Args:
        records: Run records.
        methods: The settings' names, in the order of the rows.
        reference: Setting that the others are compared with, on the runs of both.
        costs: Method -> record of :mod:`mcdrl_lab.benchmarks.plan_latency`; some
            methods may be missing.
    """
    means = readable_table(result_table(records, 'dice'))
    others = [name for name in methods if name != reference]
    effects = {b: compare(records, b, [reference], by_site=False)[0] for b in others}
    rows = {}
    for name in methods:
        effect = effects.get(name)
        cost = costs.get(name)
        rows[name] = {
            'Dice': means.loc[name, 'mean'],
            f'difference to {reference}': signed(
                None if effect is None else effect.overall.difference
            ),
            '95 % interval': interval_ends(
                None if effect is None else effect.overall.interval
            ),
            'ms an image': MISSING if cost is None else f'{cost["milliseconds"]:.1f}',
            'parameters': MISSING
            if cost is None
            else f'{cost["intervention_parameters"]:,}',
            'seeds': means.loc[name, 'seeds'],
        }
    table = markdown(pd.DataFrame(rows).T.rename_axis('setting'))
    return table + _as_list({name: _left_out(c) for name, c in effects.items()})


def shift_effects(
    records: Mapping[float, Sequence[RunRecord]], a: str, b: str, metric: str = 'dice'
) -> dict[float, Comparison]:
    """Compare two methods at several strengths of the shift.

    Args:
        records: Strength -> run records.
        a: The first method.
        b: The method it is compared with.
        metric: As for :func:`compare_block`.

    Returns:
        Strength -> comparison of the two methods, in increasing order.
    """
    return {
        strength: compare(records[strength], a, [b], metric, by_site=False)[0]
        for strength in sorted(records)
    }


def shift_block(
    effects: Mapping[float, Comparison], picture: str, metric: str = 'dice'
) -> str:
    """The effect against the strength of the shift, as figure and table.

    Args:
        effects: From :func:`shift_effects`.
        picture: Path of the figure, relative to the page.
        metric: The compared metric.
    """
    first = next(iter(effects.values()))
    rows = {
        f'{strength:g}': {
            first.a: f'{comparison.overall.a:.1f}',
            first.b: f'{comparison.overall.b:.1f}',
            **_effect_cells(comparison),
        }
        for strength, comparison in effects.items()
    }
    title = f'{_TITLES[metric]}, by strength'
    table = markdown(pd.DataFrame(rows).T.rename_axis(title))
    notes = {f'{strength:g}': _left_out(c) for strength, c in effects.items()}
    figure = f'![{first.a} - {first.b} by strength of the shift]({picture})'
    return f'{figure}\n\n{table}{_as_list(notes)}'


def shift_figure(effects: Mapping[float, Comparison], metric: str = 'dice') -> Figure:
    """Scores of both methods, and their difference, against the strength of the shift.

    Args:
        effects: From :func:`shift_effects`.
        metric: The compared metric.
    """
    figure = Figure(figsize=(8.0, 3.2))
    scores, gains = figure.subplots(1, 2)
    strengths = list(effects)
    overall = [comparison.overall for comparison in effects.values()]
    first = next(iter(effects.values()))
    for name, values, color, marker in (
        (first.a, [e.a for e in overall], LINE_COLORS[0], 'o'),
        (first.b, [e.b for e in overall], LINE_COLORS[1], 's'),
    ):
        scores.plot(strengths, values, color=color, marker=marker, label=name)
    scores.set_ylabel(f'{_TITLES[metric]}, held-out site (%)')
    scores.legend(frameon=False)
    differences = [e.difference for e in overall]
    lengths = [
        [max(0.0, e.difference - e.interval.low) for e in overall],
        [max(0.0, e.interval.high - e.difference) for e in overall],
    ]
    gains.errorbar(
        strengths,
        differences,
        yerr=lengths,
        color=LINE_COLORS[0],
        marker='D',
        capsize=3,
    )
    gains.axhline(0.0, color='black', linewidth=0.8)
    gains.set_ylabel(f'{first.a} - {first.b} (points)')
    for axes in (scores, gains):
        axes.set_xlabel('strength of the shift')
        axes.set_xticks(strengths)
        axes.grid(alpha=0.3)
    figure.set_layout_engine('constrained')
    return figure


def runs_block(records: Mapping[str, Sequence[RunRecord]]) -> str:
    """Contents of each file of records, and the training time.

    Args:
        records: Name of the file -> its records.
    """
    rows = {}
    for name, group in records.items():
        group = done(group)
        hours = sum(r.duration_s for r in group) / _SECONDS_AN_HOUR
        budgets = {
            f'{r.budget.get("epochs", r.budget.get("iters"))} x '
            f'{r.budget["train_images"]}'
            for r in group
        }
        rows[name] = {
            'methods': str(len({r.method for r in group})),
            'sites': str(len({r.held_out for r in group})),
            'seeds': str(len({r.seed for r in group})),
            'runs': str(len(group)),
            'epochs x images': ', '.join(sorted(budgets)),
            'hours': f'{hours:.1f}',
        }
    return markdown(pd.DataFrame(rows).T.rename_axis('records'))


def _others(records: Sequence[RunRecord], method: str) -> list[str]:
    names = dict.fromkeys(record.method for record in done(records))
    return [name for name in names if name != method]


def _left_out(comparison: Comparison) -> str | None:
    """The comparison's note on runs that only one method has, if any."""
    return next((n for n in comparison.notes if n.startswith(LEFT_OUT)), None)


def _as_list(notes: Mapping[str, str | None]) -> str:
    """Named notes as a list below a table; empty without notes."""
    lines = ''.join(f'- {name}: {note}\n' for name, note in notes.items() if note)
    return f'\n{lines}' if lines else ''


def _effect_cells(comparison: Comparison) -> dict[str, str]:
    return {**overall_cells(comparison), 'seeds': str(comparison.overall.seeds)}
