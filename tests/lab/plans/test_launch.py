import sys
from pathlib import Path

import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.launch import launch_command

TRAIN = Path('tools/train.py')


def test_one_plain_process_by_default():
    assert launch_command(TRAIN, ['c.py', '--resume']) == [
        sys.executable,
        'tools/train.py',
        'c.py',
        '--resume',
        '--launcher',
        'none',
    ]


def test_torchrun_starts_the_processes_on_a_port_of_its_own():
    command = launch_command(TRAIN, ['c.py'], 'pytorch', 2)
    assert command[1:5] == [
        '-m',
        'torch.distributed.run',
        '--standalone',
        '--nproc_per_node=2',
    ]
    assert command[-2:] == ['--launcher', 'pytorch']


def test_slurm_and_mpi_start_their_own_way():
    assert launch_command(TRAIN, [], 'slurm', 4)[:2] == ['srun', '--ntasks=4']
    assert launch_command(TRAIN, [], 'mpi', 4)[:3] == ['mpirun', '-n', '4']


def test_several_processes_need_a_launcher():
    with pytest.raises(ProtocolError, match='2 processes a run need a launcher'):
        launch_command(TRAIN, [], 'none', 2)
    with pytest.raises(ProtocolError, match="launcher 'ray'"):
        launch_command(TRAIN, [], 'ray')
