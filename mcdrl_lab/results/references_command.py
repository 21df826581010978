"""Score a constant mask and a centre prior with every site held out in turn.

No network is used: map and threshold come from the masks of the other sites. Whatever a
network scores stands beside these.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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


def run(args: argparse.Namespace) -> int:
    """Print the table.

    Args:
        args: Of :func:`add_arguments`.

    Returns:
        The exit code.
    """
    from mcdrl_common.mask_format import MaskError
    from mcdrl_common.verification.listing import VerificationError

    from .trivial_references import read_true_masks, score_references

    try:
        masks = read_true_masks(args.data)
    except (VerificationError, MaskError) as error:
        print(f'references: {error}', file=sys.stderr)
        return 2
    if len({mask.site for mask in masks}) < 2:
        print(
            f'references: {args.data} holds one site; the map comes from the others, '
            'so that two are needed.',
            file=sys.stderr,
        )
        return 2
    print(as_markdown(score_references(masks)))
    return 0


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
