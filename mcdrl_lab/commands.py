"""The commands of ``python -m mcdrl_lab``: where each lies, imported when it is called.

A command is a module with a docstring, ``add_arguments(parser)`` and ``run(args)``.
Its module imports nothing that a ``--help`` does not need: what takes time to import
is imported in ``run``.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple


class Command(NamedTuple):
    """Where a command lies.

    Attributes:
        module: Module with ``add_arguments(parser)`` and ``run(args)``, which returns
            an exit code, or None for 0.
        summary: One line for the list of commands.
    """

    module: str
    summary: str


COMMANDS: dict[str, Command] = {
    # One line a command, in the order of an experiment.
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Its name and arguments; by default those of this process.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog='python -m mcdrl_lab',
        description='What surrounds an experiment with MCDRL.',
        epilog='python -m mcdrl_lab COMMAND --help says more.\n\ncommands:\n'
        + '\n'.join(f'  {name:<20} {c.summary}' for name, c in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('command', metavar='COMMAND', choices=list(COMMANDS))
    name = parser.parse_args(arguments[:1]).command
    module = importlib.import_module(COMMANDS[name].module)
    own = argparse.ArgumentParser(
        prog=f'python -m mcdrl_lab {name}',
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(own)
    return module.run(own.parse_args(arguments[1:])) or 0
