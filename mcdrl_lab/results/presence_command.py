"""Choose the confidence below which masks are left empty.

It is the largest threshold that costs at most --loss points of Dice on average over the
sites of the leave-one-site-out records. Networks that were trained on hardly any
lesion-free images mark something in almost every one of them, but with low confidence.
There is no guarantee for a new site: the table shows the result of the rule with each
site as the new one.
"""

from __future__ import annotations

import argparse

from mcdrl_lab.shared_arguments import add_method, add_overwrite, add_records, file_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab presence work_dirs/loso/records.jsonl '
        '--method mcdrl --loss 0.5'
    )
    add_records(parser)
    parser.add_argument(
        '--loss',
        type=float,
        default=0.5,
        help='largest mean loss of Dice on images with a lesion, in points '
        '(default: 0.5)',
    )
    add_method(parser)
    parser.add_argument(
        '--seeds',
        type=int,
        nargs='+',
        metavar='SEED',
        help='use only these seeds (default: all that finished at every site)',
    )
    parser.add_argument(
        '--out',
        type=file_name('.json'),
        help='JSON file to write, for tools/predict.py --presence',
    )
    add_overwrite(parser)


def run(args: argparse.Namespace) -> None:
    """Print the rule's results, and write the threshold if ``--out`` is given."""
    from mcdrl_common.threshold_file import PRESENCE
    from mcdrl_common.written_files import check_renewable

    from .plan_records import load_records
    from .presence import presence_scores, presence_table, presence_threshold

    scores = presence_scores(load_records(args.records), args.method, args.seeds)
    settings = f'--loss {args.loss:g}', f'--seeds {args.seeds or "all"}'
    made_of = scores.made_of('presence', args.records, *settings)
    if args.out:
        check_renewable([args.out], [], made_of, args.overwrite)
    threshold = presence_threshold(scores.images, args.loss)
    seeds = ', '.join(map(str, scores.seeds))
    print(
        f'{scores.method}: masks with a self_dice below {threshold:g} are left empty; '
        f'this costs at most {args.loss:g} points of Dice on average over these '
        f'{len(scores.sites)} sites (seeds {seeds})\n'
    )
    if len(scores.sites) > 1:
        print(
            'Each site in turn as the new one, with the threshold chosen on the '
            'others:\n'
        )
        print(presence_table(scores, args.loss))
    if args.out:
        PRESENCE.write(
            args.out,
            dict(
                method=scores.method,
                loss=args.loss,
                threshold=threshold,
                **scores.origin(),
            ),
            made_of,
        )
        print(args.out)
