"""Rendezvous of the processes of a Slurm step, with or without GPUs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import MutableMapping

from mcdrl_common import InputError

# Below Linux's ephemeral ports, and above the usual services.
_FIRST_PORT, _PORTS = 20000, 10000


class SlurmError(InputError, RuntimeError):
    """This process is not in a Slurm step; the message says what to do."""


def set_rendezvous(environment: MutableMapping[str, str] | None = None) -> None:
    """Set the environment variables from which torch.distributed initialises.

    MMEngine's own launcher needs a GPU and uses port 29500 for every job, so that two
    jobs on one machine clash. Here the port depends on the ids of job and step.
    ``MASTER_ADDR`` and ``MASTER_PORT`` are kept if they are set.

    Args:
        environment: Environment variables, changed here; None takes this process's.

    Raises:
        SlurmError: srun did not start this process.
    """
    environment = os.environ if environment is None else environment
    try:
        rank, size = environment['SLURM_PROCID'], environment['SLURM_NTASKS']
        job, step = environment['SLURM_JOB_ID'], environment['SLURM_STEP_ID']
    except KeyError as missing:
        raise SlurmError(
            f'--launcher slurm: {missing} is not set in the environment. Start the '
            'program with srun, as tools/slurm_train.sh does.'
        ) from None
    port = _FIRST_PORT + (int(job) * 31 + int(step)) % _PORTS
    environment.update(
        RANK=rank,
        WORLD_SIZE=environment.get('SLURM_STEP_NUM_TASKS', size),
        LOCAL_RANK=environment.get('SLURM_LOCALID', '0'),
    )
    environment.setdefault('MASTER_PORT', str(port))
    if 'MASTER_ADDR' not in environment:
        environment['MASTER_ADDR'] = _first_host(environment)


def _first_host(environment: MutableMapping[str, str]) -> str:
    if environment.get('SLURM_STEP_NUM_NODES', environment.get('SLURM_NNODES')) == '1':
        return '127.0.0.1'
    nodes = environment.get('SLURM_STEP_NODELIST') or environment['SLURM_NODELIST']
    command = ['scontrol', 'show', 'hostnames', nodes]
    return subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout.split()[0]
