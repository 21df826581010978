"""List which open_clip architectures can be used, and how: the table of own_clip.md.

Nothing is downloaded, and models take no memory. With --update the table between the
two marker comments of a page is rewritten; otherwise it is printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mcdrl_lab.errors import ProtocolError, errors_in_one_line

BEGIN, END = '<!-- table: clip-architectures -->', '<!-- end of table -->'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument('names', nargs='*', help='architectures to list (default: all)')
    parser.add_argument(
        '--update',
        type=Path,
        metavar='PAGE',
        help='Markdown page to write the table into',
    )


def table_of(page: str) -> str:
    """The table on a page.

    Args:
        page: Its text, with both marks.
    """
    return page.partition(BEGIN)[2].partition(END)[0].strip() + '\n'


@errors_in_one_line(ValueError)
def run(args: argparse.Namespace) -> None:
    """Print or write the table."""
    from mcdrl_common.atomic_write import write_bytes

    from .clip_architectures import architecture_names, describe, markdown

    table = markdown(describe(name) for name in args.names or architecture_names())
    if args.update is None:
        print(table)
        return
    page = args.update.read_text(encoding='utf-8')
    if BEGIN not in page or END not in page:
        raise ProtocolError(f'{args.update}: expected the marks {BEGIN} and {END}.')
    head, _, rest = page.partition(BEGIN)
    tail = rest.partition(END)[2]
    new = f'{head}{BEGIN}\n\n{table}\n{END}{tail}'
    write_bytes(args.update, new.encode())
