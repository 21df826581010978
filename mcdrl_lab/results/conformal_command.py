"""Choose a threshold with a guarantee from leave-one-site-out records.

It is the largest threshold at which the expected share of missed lesion area (or of
missed lesions) at a new site is at most the level. This holds if the new site is
exchangeable with those of the records: as if drawn from the same hospitals.
"""

from __future__ import annotations

import argparse

from mcdrl_lab.shared_arguments import add_method, add_overwrite, add_records, file_name

RISK_NAMES = {'area': 'lesion area', 'lesions': 'lesions'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab conformal work_dirs/loso/records.jsonl '
        '--method mcdrl --level 0.3'
    )
    add_records(parser)
    parser.add_argument(
        '--level',
        type=float,
        required=True,
        help='largest expected share missed at a new site, e.g. 0.3',
    )
    add_method(parser)
    parser.add_argument(
        '--risk',
        choices=list(RISK_NAMES),
        default='area',
        help='what the share is of: lesion area or connected lesions (default: area)',
    )
    parser.add_argument(
        '--out',
        type=file_name('.json'),
        help='JSON file to write, for tools/predict.py --conformal',
    )
    add_overwrite(parser)


def run(args: argparse.Namespace) -> None:
    """Print the threshold, and write it if ``--out`` is given."""
    from mcdrl_common.threshold_file import CONFORMAL
    from mcdrl_common.written_files import check_renewable

    from .conformal import (
        controlling_threshold,
        held_out_risks,
        risk_at,
        site_curves,
    )
    from .plan_records import load_records

    found = site_curves(load_records(args.records), args.method, args.risk)
    settings = f'--level {args.level:g}', f'--risk {args.risk}'
    made_of = found.made_of('conformal', args.records, *settings)
    if args.out:
        check_renewable([args.out], [], made_of, args.overwrite)
    threshold = controlling_threshold(found.curves, found.thresholds, args.level)
    what = RISK_NAMES[args.risk]
    seeds = ', '.join(map(str, found.seeds))
    print(
        f'{found.method}: threshold {threshold:g}; the expected share of missed {what} '
        f'at a new site is at most {args.level:g}, if the site is exchangeable with '
        f'these {len(found.sites)} sites (seeds {seeds})\n'
    )
    others = held_out_risks(found, args.level)
    width = max(map(len, (*found.sites, 'mean')))
    print(f'{"site":<{width}}  missed here  had it been the new one')
    risks = risk_at(found, threshold)
    for index, (site, risk) in enumerate(zip(found.sites, risks)):
        alone = '-' if others is None else '{:g}: {:.3f}'.format(*others[index])
        print(f'{site:<{width}}  {risk:11.3f}  {alone}')
    mean = '-' if others is None else f'{sum(r for _, r in others) / len(others):.3f}'
    print(f'{"mean":<{width}}  {risks.mean():11.3f}  {mean}')
    if others is None:
        print('\nOne site fewer cannot guarantee this level, so no site was held out.')
    if args.out:
        CONFORMAL.write(
            args.out,
            dict(
                method=found.method,
                risk=args.risk,
                level=args.level,
                threshold=threshold,
                **found.origin(),
            ),
            made_of,
        )
        print(args.out)
