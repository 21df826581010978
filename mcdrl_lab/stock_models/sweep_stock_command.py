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
        'sweep-stock write. A model is converted, trained for a step and asked for a '
        'prediction in a process of its own. Records are kept: started again, the '
        'command goes on.'
    )
    actions = parser.add_subparsers(dest='action', required=True)
    run = actions.add_parser('run', help='try the models, and record what came of it')
    run.add_argument('--size', type=int, default=64, help='pixels (default: 64)')
    run.add_argument(
        '--seconds', type=float, default=600, help='limit of a model (default: 600)'
    )
    run.add_argument('--only', default='', help='models with a config of this name')
    run.add_argument(
        '--again',
        nargs='*',
        default=(),
        metavar='STATUS',
        help="try those again that ended so, as broken or 'not built'",
    )
    write = actions.add_parser('write', help='write the table of the page again')
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
