"""How a training or a test is started: as a function, or by a launcher."""

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
    """Processes of a training or test.

    Args:
        launcher: ``'none'`` for one process that calls the function; else what the
            program's ``--launcher`` is to be: ``'pytorch'`` starts through torchrun,
            ``'slurm'`` through srun, ``'mpi'`` through mpirun.
        processes: Number of processes.
        module: Has ``train_main`` and ``test_main``, and runs them as
            ``python -m MODULE train`` or ``test``.
        preload: What it imports and what takes long.

    Raises:
        ProtocolError: Several processes without a launcher, or an unknown one.
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
                f'{self.processes} processes a run need a launcher, such as '
                '--launcher pytorch.'
            )

    def call(self, stage: str, arguments: Sequence[str]) -> tuple[str, list[str]]:
        """What a :class:`~mcdrl_lab.plans.child_process.ChildProcess` is to run.

        Args:
            stage: ``'train'`` or ``'test'``.
            arguments: As of ``tools/train.py`` or ``tools/test.py``.

        Returns:
            A function, and its arguments.
        """
        if self.launcher == 'none':
            arguments = [*arguments, '--launcher', self.launcher]
            return f'{self.module}:{stage}_main', arguments
        return f'{__name__}:run_launcher', self.command(stage, arguments)

    def command(self, stage: str, arguments: Sequence[str]) -> list[str]:
        """The command line of a stage, for who starts it as a program.

        Args:
            stage: ``'train'`` or ``'test'``.
            arguments: As of ``tools/train.py`` or ``tools/test.py``.
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
    """Run a launcher, and end as it ends.

    Args:
        command: Its command line.

    Returns:
        Its exit code.
    """
    # A launcher that is asked to stop, as all of this process group is, ends its
    # processes itself; until then the run goes on.
    signal.signal(signal.SIGTERM, lambda *_: None)
    code = subprocess.call(command)
    if code < 0:
        with contextlib.suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code
