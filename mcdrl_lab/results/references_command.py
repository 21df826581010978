"""Score a constant mask and a centre prior with every site held out in turn.

No network is used: map and threshold come from the masks of the other sites. Whatever a
network scores stands beside these.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mcdrl_lab.errors import ProtocolError, errors_in_one_line

if TYPE_CHECKING:
    from .trivial_references import ReferenceScore


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line.

    Args:
        parser: The command's parser.
    """
    parser.epilog = 'Example: python -m mcdrl_lab references data/endoscopy_sites'
    parser.add_argument(
        'data', type=Path, help='folder of sites as the converters write it'
    )


@errors_in_one_line()
def run(args: argparse.Namespace) -> None:
    """Print the table."""
    from .trivial_references import read_true_masks, score_references

    masks = read_true_masks(args.data)
    if len({mask.site for mask in masks}) < 2:
        raise ProtocolError(
            f'{args.data} holds one site; the map comes from the others, so that two '
            'are needed.'
        )
    print(as_markdown(score_references(masks)))


def as_markdown(scores: Sequence[ReferenceScore]) -> str:
    """The scores as a table, in percent.

    Args:
        scores: See :class:`ReferenceScore`.
    """
    lines = [
        '| reference | held out | threshold | Dice | Dice, all images | false alarms |',
        '|---|---|---|---|---|---|',
    ]
    for name in dict.fromkeys(score.reference for score in scores):
        own = [score for score in scores if score.reference == name]
        lines += [
            f'| {name} | {s.site} | {s.threshold:.2f} | {_percent(s.dice)} | '
            f'{_percent(s.dice_all)} | {_percent(s.false_positive_rate)} |'
            for s in own
        ]
        dice = [s.dice for s in own if s.dice == s.dice]
        every = [s.dice_all for s in own]
        lines.append(
            f'| {name} | mean of sites | | {_percent(sum(dice) / len(dice))} | '
            f'{_percent(sum(every) / len(every))} | |'
        )
    return '\n'.join(lines)


def _percent(share: float) -> str:
    return '-' if share != share else f'{100 * share:.1f}'
