"""Command lines that start a tool on one or several processes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mcdrl_lab.errors import ProtocolError

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


def launch_command(
    tool: Path, arguments: Sequence[str], launcher: str = 'none', processes: int = 1
) -> list[str]:
    """Build the command line of ``tools/train.py`` or ``tools/test.py``.

    Args:
        tool: Path of the tool.
        arguments: Its arguments.
        launcher: ``'none'`` for one plain process, or what the tool's ``--launcher``
            is to be: ``'pytorch'`` starts through torchrun, ``'slurm'`` through srun,
            ``'mpi'`` through mpirun.
        processes: Number of processes.

    Raises:
        ProtocolError: Several processes without a launcher, or an unknown one.
    """
    if launcher not in LAUNCHERS:
        raise ProtocolError(f'launcher {launcher!r} is not one of {list(LAUNCHERS)}.')
    if launcher == 'none' and processes != 1:
        raise ProtocolError(
            f'{processes} processes a run need a launcher, such as --launcher pytorch.'
        )
    python = [sys.executable]
    starters = {
        'none': python,
        'pytorch': [
            *python,
            '-m',
            'torch.distributed.run',
            '--standalone',
            f'--nproc_per_node={processes}',
        ],
        'slurm': ['srun', f'--ntasks={processes}', '--kill-on-bad-exit=1', *python],
        'mpi': ['mpirun', '-n', str(processes), *python],
    }
    return [*starters[launcher], str(tool), *arguments, '--launcher', launcher]
