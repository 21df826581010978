"""Check on held-out hospitals how reliable the numbers for a new hospital are.

From a leave-one-site-out plan: the share that a conformal threshold, chosen on the
other sites, misses at each site; calibration before and after temperature scaling; and
how well expected Dice and the network's own confidence find the images with a low Dice.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mcdrl_lab.errors import ProtocolError, errors_in_one_line
from mcdrl_lab.shared_arguments import add_method

if TYPE_CHECKING:
    from .held_out_trust import Coverage, Flags

_LEVELS = (0.2, 0.3, 0.4)
_CALIBRATION = ('ECE', 'ECE_border', 'Brier')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab held-out-trust work_dirs/loso '
        '--data-root data/endoscopy_sites'
    )
    parser.add_argument(
        'plan', type=Path, help='folder of a leave-one-site-out plan, or its records'
    )
    parser.add_argument(
        '--data-root', type=Path, help='folder of the sites; needed to flag images'
    )
    add_method(parser)
    parser.add_argument(
        '--levels',
        type=float,
        nargs='+',
        help='largest shares of lesion area that may be missed (default: those of 0.2 '
        '0.3 0.4 that so few sites can guarantee: none below 1 / number of sites)',
    )
    parser.add_argument(
        '--failure',
        type=float,
        default=0.3,
        help='Dice below which an image counts as a failure (default: 0.3)',
    )
    parser.add_argument(
        '--calibrate',
        action='store_true',
        help='also fit temperatures to the checkpoints of the plan, and test them',
    )


@errors_in_one_line(ValueError, FileNotFoundError)
def run(args: argparse.Namespace) -> None:
    """Print coverage, flags and calibration."""
    from mcdrl_lab.results.conformal import held_out_risks, site_curves
    from mcdrl_lab.results.plan_records import load_records

    from .held_out_trust import coverage

    if not 0 < args.failure <= 1:
        raise ProtocolError(f'--failure {args.failure} must lie in (0, 1].')
    found = site_curves(load_records(args.plan), args.method)
    if len(found.sites) < 2:
        raise ProtocolError(
            f'{args.plan}: the only held-out site is {found.sites[0]}. Each measure is '
            'chosen on the other held-out sites: run the plan with two or more.'
        )
    levels = args.levels or [x for x in _LEVELS if held_out_risks(found, x)]
    if levels:
        print(coverage_text(found.sites, [coverage(found, x) for x in levels]))
    if not args.levels and len(levels) < len(_LEVELS):
        print(_left_out(len(found.sites), levels))
    if args.data_root is not None:
        print(f'\n{_flags_text(args, found.method)}')
    if args.calibrate:
        print(f'\n{_calibration_text(args.plan, found.method)}')


def coverage_text(sites: tuple[str, ...], levels: list[Coverage]) -> str:
    """Table of the lesion area missed at each site, for each level.

    Args:
        sites: Names of the sites.
        levels: The coverage at each level.
    """
    import pandas as pd

    columns = {f'p >= {0.5:g}': [*levels[0].plain, sum(levels[0].plain) / len(sites)]}
    table = pd.DataFrame(columns, index=[*sites, 'mean']).map('{:.3f}'.format)
    for one in levels:
        pairs = zip(one.thresholds, one.losses, strict=True)
        cells = [f'{t:g}: {loss:.3f}' for t, loss in pairs]
        table[f'level {one.level:g}'] = [*cells, f'{one.mean:.3f}']
    within = ', '.join(f'{one.within} at {one.level:g}' for one in levels)
    return (
        'Lesion area missed at each site, threshold chosen from the other sites '
        f'(threshold: missed)\n{table.to_string()}\n'
        f'sites within the level, of {len(sites)}: {within}'
    )


def _left_out(sites: int, levels: list[float]) -> str:
    """Why default levels are missing from the table."""
    left = ', '.join(f'{x:g}' for x in _LEVELS if x not in levels)
    return (
        f'levels of lesion area missed that were not tested: {left}. With one of '
        f'{sites} sites held out, the smallest level that the others can guarantee is '
        f'1/{sites}.' + ('' if levels else ' Use higher --levels.')
    )


def _flags_text(args: argparse.Namespace, method: str) -> str:
    from .builtin_encoder import endoscopy_encoder
    from .held_out_trust import flags
    from .recorded_dice import recorded_dice

    images = recorded_dice(args.plan, args.data_root, method, images_per_site=None)
    scores, embeddings = endoscopy_encoder()([image.path for image in images])
    return flags_text(flags(images, scores, embeddings, args.failure), args.failure)


def flags_text(found: Flags, failure: float) -> str:
    """Tables of rank correlations and areas under ROC curves.

    Args:
        found: See :func:`~mcdrl_lab.trust.held_out_trust.flags`.
        failure: Dice below which an image is a failure.
    """
    import pandas as pd

    from .within_sites import interval

    ranks = pd.Series({k: interval(v, '.2f') for k, v in found.ranks.items()})
    rows = {}
    for name, area in found.areas.items():
        rows[name] = {
            'all sites': interval(area, '.2f'),
            'less mean confidence': interval(found.gains.get(name), '+.2f'),
            'where a mask is': interval(found.marked[name], '.2f'),
            **{s: interval(own[name], '.2f') for s, own in found.by_site.items()},
        }
    counts = ', '.join(
        f'{s} {found.failures[s]} of {n}' for s, n in found.images.items()
    )
    return (
        'Rank correlation of expected and true Dice of images with a lesion, each '
        f'site predicted from the others\n{ranks.to_string()}\n\n'
        f'Images with a Dice below {failure:g} ({counts}; of these {found.empty} with '
        'an empty mask): area under the ROC curve\n'
        f'{pd.DataFrame(rows).T.to_string()}'
    )


def _calibration_text(plan: Path, method: str) -> str:
    import pandas as pd

    from mcdrl_lab.results.text_cells import percent_change

    from .held_out_trust import calibrations

    rows = {}
    for run, found in calibrations(plan, method):
        before, after = (found.scores['test'][when] for when in ('before', 'after'))
        cells = {'temperature': ', '.join(f'{t:.2f}' for t in found.temperature)}
        for name in _CALIBRATION:
            key = f'site/{run.held_out}/{name}'
            cells[name] = percent_change(before[key], after[key])
        rows[f'{run.held_out}, seed {run.seed}'] = cells
    return (
        'Calibration at the held-out site, in per cent, before and after a temperature '
        f'fitted on the training sites\n{pd.DataFrame(rows).T.to_string()}'
    )
