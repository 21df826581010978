"""Try every model of MMSegmentation's configs with MCDRL, and write the table."""

from __future__ import annotations

import argparse
from pathlib import Path

from mcdrl_lab.errors import ends_in_one_line

_EVIDENCE = Path('docs/evidence/stock_models.jsonl')
_PAGE = Path('docs/own_backbone.md')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab sweep-stock run && python -m mcdrl_lab '
        'sweep-stock write. Each model is converted, trained for one step and '
        'run once for prediction, in its own process. Records are kept: the command '
        'continues where it stopped when it is started again.'
    )
    actions = parser.add_subparsers(dest='action', required=True)
    run = actions.add_parser('run', help='try the models and record the results')
    run.add_argument(
        '--size',
        type=int,
        default=64,
        help='height and width of the images in pixels (default: 64)',
    )
    run.add_argument(
        '--seconds',
        type=float,
        default=600,
        help='time limit per model, in seconds (default: 600)',
    )
    run.add_argument(
        '--only',
        default='',
        help='try only models with a config whose name contains this text (default: '
        'all)',
    )
    run.add_argument(
        '--again',
        nargs='*',
        default=(),
        metavar='STATUS',
        help="retry models that ended with these statuses, e.g. broken or 'not built'",
    )
    write = actions.add_parser('write', help='rewrite the table of the page')
    write.add_argument('--page', type=Path, default=_PAGE, help=f'default: {_PAGE}')
    for action in (run, write):
        action.add_argument(
            '--records', type=Path, default=_EVIDENCE, help=f'default: {_EVIDENCE}'
        )


@ends_in_one_line
def run(args: argparse.Namespace) -> None:
    """Try the models, or write the table."""
    if args.action == 'run':
        from .sweep import sweep

        sweep(args.records, args.size, args.seconds, args.only, args.again)
        return
    from .sweep_table import write_table

    write_table(args.records, args.page)
    print(args.page)
