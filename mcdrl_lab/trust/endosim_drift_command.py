"""Measure on EndoSim whether site-check names the conditions that truly differ.

Every site of every simulated data set is held out and compared with the other four, by
the built-in tiny CLIP and without masks. The simulator provides the true frequency of
each condition.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .builtin_encoder import Encode
    from .endosim_drift import DrawRanks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        '--seeds',
        type=int,
        nargs='+',
        default=[0, 11, 12, 13, 14, 15],
        help='seeds of the EndoSim data sets (default: the six of docs/evidence.md)',
    )
    parser.add_argument(
        '--images-per-site',
        type=int,
        default=100,
        help='images per site (default: 100)',
    )
    parser.add_argument(
        '--spurious',
        type=float,
        default=1.0,
        help='how much sites differ in how they image lesions, from 0 to 1 (default: '
        '1)',
    )
    parser.add_argument(
        '--records',
        nargs='+',
        help="measure instead how well conditions and the network's own confidence "
        'predict the Dice in these records: one plan per data set of --seeds, in the '
        'same order',
    )
    parser.add_argument(
        '--method', help='method of --records (default: the last one recorded)'
    )


def run(args: argparse.Namespace) -> None:
    """Print the conditions of every site, then precision and recall."""
    from mcdrl_common.tracked import tracked

    from .builtin_encoder import builtin_encoder
    from .endosim_drift import named_conditions, precision_and_recall

    if args.records is not None:
        print(_ranks_text(args, builtin_encoder()))
        return
    results = named_conditions(
        builtin_encoder(),
        args.seeds,
        args.images_per_site,
        args.spurious,
        lambda seeds: tracked(seeds, 'draws'),
    )
    for result in results:
        print(
            f'draw {result.seed}, {result.site}: named {_signed(result.named)}; '
            f'true {_signed(result.truth)}'
        )
    precision, recall = precision_and_recall(results)
    right, named, true = (
        sum(values)
        for values in zip(*((r.right, len(r.named), len(r.truth)) for r in results))
    )
    print(f'precision {_share(precision)} ({right} of {named} named)')
    print(f'recall {_share(recall)} ({right} of {true} that differ)')


def _ranks_text(args: argparse.Namespace, encode: Encode) -> str:
    from mcdrl_lab.errors import ProtocolError
    from mcdrl_lab.simulation.simulated_sites import Benchmark

    from .endosim_drift import ranks_of_draw

    if len(args.records) != len(args.seeds):
        raise ProtocolError(
            f'{len(args.records)} --records for {len(args.seeds)} --seeds: give the '
            'records of each draw, in the order of --seeds.'
        )
    found = [
        ranks_of_draw(
            encode,
            Benchmark(args.images_per_site, 128, args.spurious, seed),
            records,
            args.method,
        )
        for seed, records in zip(args.seeds, args.records, strict=True)
    ]
    return ranks_text(found)


def ranks_text(found: Sequence[DrawRanks]) -> str:
    """Rank correlations of each draw, and their mean over the draws.

    Args:
        found: One result per draw.
    """
    import numpy as np
    import pandas as pd

    from mcdrl_lab.results.statistics import new_draws_interval

    from .dice_predictors import CONFIDENCE
    from .within_sites import Estimate, interval

    names = [name for name in found[0].ranks if all(name in d.ranks for d in found)]
    values = {name: np.array([d.ranks[name].value for d in found]) for name in names}
    rows = {
        f'draw {d.seed}, {d.images} images': {
            name: interval(d.ranks[name], '.2f') for name in names
        }
        for d in found
    }

    def over_draws(differences: np.ndarray, form: str) -> str:
        ends = new_draws_interval(differences.tolist())
        mean = float(differences.mean())
        return interval(Estimate(mean, ends.low, ends.high), form)

    if len(found) > 1:
        rows['mean'] = {n: over_draws(v, '.2f') for n, v in values.items()}
    if len(found) > 1 and CONFIDENCE in values:
        rows[f'less {CONFIDENCE}'] = {
            n: '-' if n == CONFIDENCE else over_draws(v - values[CONFIDENCE], '+.2f')
            for n, v in values.items()
        }
    missed = {
        name: max(abs(e) for d in found for e in d.site_errors[name].values())
        for name in names
    }
    return (
        'rank correlation of expected and true Dice, each site predicted from the '
        f'other four\n{pd.DataFrame(rows).T.to_string()}\n'
        "largest error of a site's mean Dice: "
        + ', '.join(f'{name} {100 * e:.0f} points' for name, e in missed.items())
    )


def _signed(names: dict[str, int]) -> str:
    listed = [f'{"more" if sign > 0 else "less"} {n}' for n, sign in names.items()]
    return ', '.join(listed) or 'nothing'


def _share(value: float | None) -> str:
    return 'undefined' if value is None else f'{value:.2f}'
