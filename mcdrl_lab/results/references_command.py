"""Score a constant mask and a centre prior with every site held out in turn.

No network is used: map and threshold come from the masks of the other sites. A
network's scores should be compared with these.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mcdrl_lab.errors import ProtocolError

if TYPE_CHECKING:
    from .trivial_references import ReferenceScore


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = 'Example: python -m mcdrl_lab references data/endoscopy_sites'
    parser.add_argument(
        'data', type=Path, help='folder of sites as written by the converters'
    )


def run(args: argparse.Namespace) -> None:
    """Print the table."""
    from .trivial_references import read_true_masks, score_references

    masks = read_true_masks(args.data)
    if len({mask.site for mask in masks}) < 2:
        raise ProtocolError(
            f'{args.data} has fewer than two sites: the map for a site comes from the '
            'other sites.'
        )
    print(as_markdown(score_references(masks)))


def as_markdown(scores: Sequence[ReferenceScore]) -> str:
    """The scores as a table, in percent.

    Args:
        scores: See :class:`ReferenceScore`.
    """
    import pandas as pd

    from .text_cells import markdown, number

    names, rows = [], []
    for name, own in pd.DataFrame(scores).groupby('reference', sort=False):
        cells = [
            (
                score.site,
                f'{score.threshold:.2f}',
                number(100 * score.dice),
                number(100 * score.dice_all),
                number(100 * score.false_positive_rate),
            )
            for score in own.itertuples()
        ]
        means = [number(100 * own[column].mean()) for column in ('dice', 'dice_all')]
        rows += [*cells, ('mean of sites', '', *means, '')]
        names += [name] * (len(own) + 1)
    columns = ['held out', 'threshold', 'Dice', 'Dice, all images', 'false alarms']
    index = pd.Index(names, name='reference')
    return markdown(pd.DataFrame(rows, columns=columns, index=index))
