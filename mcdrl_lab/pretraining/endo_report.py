"""The zero-shot table of the CLIP of real endoscopy, each score with its goal."""

from __future__ import annotations

from statistics import fmean

from prettytable import PrettyTable

from mcdrl_lab.simulation.drawn_conditions import CONDITIONS

from .endo_scores import PACK, SITES, EndoScores
from .endo_zero_shot import RATIOS

_POLYP_SITES = tuple(site for site, name in SITES.items() if name == 'polyp')
# Smallest allowed AUC; for 'word', largest allowed drop below the trained words.
_GOALS = {'pack': 0.95, 'frames': 0.8, 'condition': 0.85, 'blood': 0.9, 'word': 0.05}
_KEPT_GOALS = {0.5: 0.9, 0.2: 0.7}


def _mark(met: bool) -> str:
    return 'met' if met else 'MISSED'


def scores_tables(scores: EndoScores) -> str:
    """Format the scores as text, each with its goal.

    Args:
        scores: Result of :func:`~mcdrl_lab.pretraining.endo_scores.score_endo`.
    """
    parts = [_lesion_table(scores), _condition_table(scores), _word_table(scores)]
    return '\n'.join([*parts, _kept_table(scores)])


def _new_table(title: str, columns: list[str]) -> PrettyTable:
    table = PrettyTable(columns)
    table.title = title
    table.align = 'r'
    table.align[columns[0]] = 'l'
    return table


def _lesion_table(scores: EndoScores) -> str:
    table = _new_table(
        f'Zero-shot at {scores.side} pixels, AUC', ['what', 'AUC', 'goal', '']
    )
    for where, value in scores.lesions.items():
        goal = _GOALS['pack' if where == PACK else 'frames']
        for what, found in (
            (where, value),
            (f'{where}, best position', scores.positions[where]),
        ):
            table.add_row(
                [f'polyp / normal, {what}', f'{found:.3f}', goal, _mark(found >= goal)]
            )
    goal = _GOALS['blood']
    table.add_row(
        ['real blood', f'{scores.blood:.3f}', goal, _mark(scores.blood >= goal)]
    )
    return table.get_string()


def _condition_table(scores: EndoScores) -> str:
    names = list(scores.conditions)
    table = _new_table(
        'Drawn conditions on images of each hospital, AUC of its words against plain '
        'images; among: against plain images and all other conditions',
        ['condition', *names, 'among', 'goal', ''],
    )
    goal = _GOALS['condition']
    for condition in CONDITIONS:
        values = [scores.conditions[name][condition] for name in names]
        table.add_row(
            [
                condition,
                *(f'{value:.2f}' for value in values),
                f'{scores.among[condition]:.2f}',
                goal,
                _mark(scores.conditions['all'][condition] >= goal),
            ]
        )
    shuffled = scores.shuffled
    spread = f'{fmean(shuffled):.3f} ({min(shuffled):.3f} to {max(shuffled):.3f})'
    mean = fmean(scores.among.values())
    return (
        f'{table.get_string()}\nMean of "among": {mean:.3f}. The same with the words '
        f'dealt out among the conditions, mean of {len(shuffled)} deals: {spread}.'
    )


def _word_table(scores: EndoScores) -> str:
    table = _new_table(
        'Words that no caption holds, AUC',
        ['word', 'AUC', 'trained words', 'difference', f'goal {_GOALS["word"]}'],
    )
    for word, (mine, trained) in scores.words.items():
        met = _mark(mine >= trained - _GOALS['word'])
        table.add_row(
            [word, f'{mine:.3f}', f'{trained:.3f}', f'{mine - trained:+.3f}', met]
        )
    return table.get_string()


def _kept_table(scores: EndoScores) -> str:
    columns = ['site']
    for ratio in RATIOS:
        columns += [f'{ratio} {s}' for s in ('text', 'centre', 'random')]
    table = _new_table(
        'Share of the lesion kept at alpha, in percent', [*columns, 'above centre']
    )
    for site, by_ratio in scores.kept.items():
        values = [v for ratio in RATIOS for v in by_ratio[ratio].values()]
        above = all(by_ratio[r]['text'] > by_ratio[r]['centre'] for r in RATIOS)
        name = f'{site} (same hospital)' if site in scores.seen else site
        cells = [f'{100 * value:.0f}' for value in values]
        table.add_row([name, *cells, _mark(above)])
    lines = [table.get_string()]
    polyps = [site for site in _POLYP_SITES if site in scores.kept]
    for ratio, goal in _KEPT_GOALS.items():
        if polyps:
            mean = fmean(scores.kept[site][ratio]['text'] for site in polyps)
            lines.append(
                f'Mean of the polyp sites at alpha {ratio}: {100 * mean:.1f} (goal '
                f'{100 * goal:.0f}: {_mark(mean >= goal)}).'
            )
    return '\n'.join(lines)
