"""How a training or a test is started: as a function call, or by a launcher."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from mcdrl_lab.errors import ProtocolError

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
TRAINING_MODULE = 'mcdrl_mmseg.apis.training'
_IMPORTS = 'mcdrl_lab.plans.training_imports'


@dataclass(frozen=True)
class Launch:
    """How the processes of a training or test are started.

    Args:
        launcher: ``'none'`` calls the function in one process. The others are passed to
            the program as ``--launcher``: ``'pytorch'`` starts it through torchrun,
            ``'slurm'`` through srun, ``'mpi'`` through mpirun.
        processes: Number of processes.
        module: Module with ``train_main`` and ``test_main``, which
            ``python -m MODULE train`` or ``test`` runs too.
        preload: Modules with its slow imports, for the fork server.

    Raises:
        ProtocolError: An unknown launcher, or several processes without one.
    """

    launcher: str = 'none'
    processes: int = 1
    module: str = TRAINING_MODULE
    preload: tuple[str, ...] = (_IMPORTS,)

    def __post_init__(self) -> None:
        if self.launcher not in LAUNCHERS:
            raise ProtocolError(
                f'launcher {self.launcher!r} is not one of {list(LAUNCHERS)}.'
            )
        if self.launcher == 'none' and self.processes != 1:
            raise ProtocolError(
                f'{self.processes} processes per run need a launcher, such as '
                '--launcher pytorch.'
            )

    def call(self, stage: str, arguments: Sequence[str]) -> tuple[str, list[str]]:
        """Function for a :class:`~mcdrl_lab.plans.child_process.ChildProcess` to call.

        Args:
            stage: ``'train'`` or ``'test'``.
            arguments: As for ``tools/train.py`` or ``tools/test.py``.

        Returns:
            The function, as ``'module:name'``, and its arguments.
        """
        if self.launcher == 'none':
            arguments = [*arguments, '--launcher', self.launcher]
            return f'{self.module}:{stage}_main', arguments
        return f'{__name__}:run_launcher', self.command(stage, arguments)

    def command(self, stage: str, arguments: Sequence[str]) -> list[str]:
        """Command line that runs a stage as a program.

        Args:
            stage: ``'train'`` or ``'test'``.
            arguments: As for ``tools/train.py`` or ``tools/test.py``.
        """
        arguments = [*arguments, '--launcher', self.launcher]
        return [*self._starter(), '-m', self.module, stage, *arguments]

    def _starter(self) -> list[str]:
        python = sys.executable
        if self.launcher == 'none':
            return [python]
        if self.launcher == 'slurm':
            tasks = f'--ntasks={self.processes}'
            return ['srun', tasks, '--kill-on-bad-exit=1', python]
        if self.launcher == 'mpi':
            return ['mpirun', '-n', str(self.processes), python]
        ranks = f'--nproc_per_node={self.processes}'
        return [python, '-m', 'torch.distributed.run', '--standalone', ranks]


def run_launcher(command: Sequence[str]) -> int:
    """Run a launcher, and end with its exit code or signal.

    Args:
        command: Its command line.

    Returns:
        Its exit code.
    """
    # SIGTERM goes to the whole process group. The launcher ends its processes itself;
    # ignore the signal here, to wait until it has.
    signal.signal(signal.SIGTERM, lambda *_: None)
    code = subprocess.call(command)
    if code < 0:
        with contextlib.suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code
