import subprocess
import sys

import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.launch import Launch

MODULE = 'mcdrl_mmseg.apis.training'


def test_without_a_launcher_the_function_is_called_directly():
    assert Launch().call('train', ['c.py', '--resume']) == (
        f'{MODULE}:train_main',
        ['c.py', '--resume', '--launcher', 'none'],
    )


@pytest.mark.parametrize(
    ('launcher', 'starter'),
    [
        (
            'pytorch',
            [
                sys.executable,
                '-m',
                'torch.distributed.run',
                '--standalone',
                '--nproc_per_node=2',
            ],
        ),
        ('slurm', ['srun', '--ntasks=2', '--kill-on-bad-exit=1', sys.executable]),
        ('mpi', ['mpirun', '-n', '2', sys.executable]),
    ],
)
def test_each_launcher_starts_the_module_with_its_own_command(launcher, starter):
    function, command = Launch(launcher, 2).call('test', ['c.py', 'best.pth'])
    assert function == 'mcdrl_lab.plans.launch:run_launcher'
    program = ['-m', MODULE, 'test', 'c.py', 'best.pth', '--launcher', launcher]
    assert command == [*starter, *program]


def test_several_processes_need_a_launcher():
    with pytest.raises(ProtocolError, match='2 processes per run need a launcher'):
        Launch('none', 2)
    with pytest.raises(ProtocolError, match="launcher 'ray'"):
        Launch('ray')


@pytest.mark.parametrize('end', ['sys.exit(3)', 'os.kill(os.getpid(), 9)'])
def test_a_launcher_ends_with_the_exit_code_or_signal_of_its_program(end):
    text = (
        'import sys; from mcdrl_lab.plans.launch import run_launcher; '
        f'sys.exit(run_launcher([sys.executable, "-c", "import os, sys; {end}"]))'
    )
    done = subprocess.run([sys.executable, '-c', text], check=False)
    assert done.returncode == (3 if '3' in end else -9)
