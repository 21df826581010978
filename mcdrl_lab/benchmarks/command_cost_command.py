"""Run a command, and print time and memory of it and all processes that it starts.

CPU time covers all processes, including the runs of a plan, which the shell's time
command misses. Memory is the peak of all processes together; shared pages count once.
"""

from __future__ import annotations

import argparse

from mcdrl_lab.errors import ProtocolError, ends_in_one_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab command-cost python -m mcdrl_lab '
        'leave-one-site-out CONFIG --jobs 2'
    )
    parser.add_argument(
        'command', nargs=argparse.REMAINDER, help='program to run, with its arguments'
    )


@ends_in_one_line
def run(args: argparse.Namespace) -> int:
    """Run it, and print its cost.

    Returns:
        The command's exit code.
    """
    from .command_cost import measure_command

    command = args.command[args.command[:1] == ['--'] :]
    if not command:
        raise ProtocolError('give a command to run; see --help.')
    cost = measure_command(command)
    print(
        f'{cost.processor_s:.1f} s on the cores, {cost.wall_s:.1f} s of wall time, '
        f'at most {cost.peak_mb:.0f} MB at a time'
    )
    return cost.code
