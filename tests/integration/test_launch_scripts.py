"""The launch scripts pass their arguments on, word by word, from any folder."""

import json
import os
import subprocess
from pathlib import Path

import pytest

_TOOLS = Path(__file__).resolve().parents[2] / 'tools'
_SCRIPTS = ('dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh')
# Arguments with spaces and characters that a shell would split, expand or run.
_AWKWARD = ['my config.py', '--cfg-options', 'a="[1, 2]"', 'b=$HOME', 'c=*', 'd=`id`']


@pytest.fixture
def launch(tmp_path):
    """Runs a script with stand-ins for python and srun that report their arguments."""
    echo = tmp_path / 'bin' / 'srun'
    echo.parent.mkdir()
    echo.write_text(
        '#!/usr/bin/env python3\n'
        'import json, os, sys\n'
        "json.dump(dict(words=sys.argv[1:], path=os.environ['PYTHONPATH']), "
        'sys.stdout)\n'
    )
    echo.chmod(0o755)
    elsewhere = tmp_path / 'a folder'
    elsewhere.mkdir()

    def run(script, *words, **environment):
        clean = {
            name: value
            for name, value in os.environ.items()
            if name not in ('PYTHONPATH', 'PORT', 'MASTER_ADDR', 'GPUS')
        }
        path = f'{echo.parent}:{os.environ["PATH"]}'
        done = subprocess.run(
            [_TOOLS / script, *words],
            cwd=elsewhere,
            env={**clean, 'PATH': path, 'PYTHON': str(echo), **environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        return told['words'], told['path']

    return run


def test_dist_train_starts_the_given_number_of_processes(launch):
    words, _ = launch('dist_train.sh', _AWKWARD[0], '3', *_AWKWARD[1:])
    start = words.index(str(_TOOLS / 'train.py'))
    assert words[:start] == [
        '-m',
        'torch.distributed.run',
        '--nnodes=1',
        '--node_rank=0',
        '--master_addr=127.0.0.1',
        '--master_port=29500',
        '--nproc_per_node=3',
    ]
    assert words[start + 1 :] == [
        _AWKWARD[0],
        '--launcher',
        'pytorch',
        *_AWKWARD[1:],
    ]


def test_dist_test_takes_the_checkpoint_before_the_number_of_processes(launch):
    words, _ = launch('dist_test.sh', 'c.py', 'my run/epoch 1.pth', '2', '--tta')
    start = words.index(str(_TOOLS / 'test.py'))
    assert words[start + 1 :] == [
        'c.py',
        'my run/epoch 1.pth',
        '--launcher',
        'pytorch',
        '--tta',
    ]
    assert words[start - 1] == '--nproc_per_node=2'


@pytest.mark.parametrize(
    ('script', 'words'),
    [('dist_train.sh', ['c.py', '8']), ('dist_test.sh', ['c.py', 'e.pth', '8'])],
)
def test_settings_for_several_machines_come_from_the_environment(launch, script, words):
    found, _ = launch(
        script, *words, NNODES='2', NODE_RANK='1', MASTER_ADDR='10.0.0.7', PORT='29511'
    )
    assert found[2:6] == [
        '--nnodes=2',
        '--node_rank=1',
        '--master_addr=10.0.0.7',
        '--master_port=29511',
    ]


def test_slurm_train_requests_the_resources_that_the_environment_names(launch):
    words, _ = launch(
        'slurm_train.sh',
        'gpu part',
        'my job',
        *_AWKWARD,
        GPUS='16',
        GPUS_PER_NODE='8',
        CPUS_PER_TASK='6',
        SRUN_ARGS='--time=1:00:00 --qos=high',
    )
    start = words.index('-u')
    assert words[: start - 1] == [
        '-p',
        'gpu part',
        '--job-name=my job',
        '--ntasks=16',
        '--gres=gpu:8',
        '--ntasks-per-node=8',
        '--cpus-per-task=6',
        '--kill-on-bad-exit=1',
        '--time=1:00:00',
        '--qos=high',
    ]
    assert words[start + 1 :] == [
        str(_TOOLS / 'train.py'),
        _AWKWARD[0],
        '--launcher',
        'slurm',
        *_AWKWARD[1:],
    ]


@pytest.mark.parametrize('script', ['slurm_train.sh', 'slurm_test.sh'])
def test_slurm_scripts_request_no_gpus_with_gpus_per_node_0(launch, script):
    words, _ = launch(script, 'p', 'job', 'a', 'b', GPUS='2', GPUS_PER_NODE='0')
    assert '--ntasks=2' in words
    assert not [word for word in words if 'gres' in word or 'per-node' in word]


def test_slurm_test_passes_the_checkpoint_on_and_needs_no_further_arguments(launch):
    words, _ = launch('slurm_test.sh', 'gpu', 'job', 'c.py', 'my run/e.pth')
    start = words.index('-u')
    assert words[start + 1 :] == [
        str(_TOOLS / 'test.py'),
        'c.py',
        'my run/e.pth',
        '--launcher',
        'slurm',
    ]
    assert words[start - 2] == '--kill-on-bad-exit=1'


def test_the_repository_precedes_the_users_entries_on_the_import_path(launch):
    words = ('c.py', '1')
    _, alone = launch('dist_train.sh', *words)
    _, joined = launch('dist_train.sh', *words, PYTHONPATH='/mine:/yours')
    assert Path(alone).resolve() == _TOOLS.parent
    assert joined == f'{alone}:/mine:/yours'


@pytest.mark.parametrize('script', _SCRIPTS)
def test_missing_arguments_end_with_status_2_and_the_usage(script):
    done = subprocess.run([_TOOLS / script, 'one'], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ''
    assert done.stderr.startswith(f'Usage: tools/{script} ')


@pytest.mark.parametrize(
    'words',
    [
        ['dist_train.sh', 'c.py', '--work-dir', 'w'],
        ['dist_test.sh', 'c.py', 'best.pth', '--tta'],
    ],
)
def test_a_missing_number_of_processes_is_reported_with_the_usage(words):
    script, *arguments = words
    done = subprocess.run([_TOOLS / script, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    told = f"{script}: GPUS='{arguments[-2 if script == 'dist_train.sh' else -1]}'"
    assert done.stderr.startswith(f'{told}: expected the number of processes.')
    assert f'Usage: tools/{script}' in done.stderr


@pytest.mark.parametrize('script', _SCRIPTS)
@pytest.mark.parametrize('option', ['-h', '--help'])
def test_help_shows_an_example(script, option):
    done = subprocess.run([_TOOLS / script, option], capture_output=True, text=True)
    assert done.returncode == 0
    assert f'tools/{script}' in done.stdout.partition('Example: ')[2]


@pytest.mark.parametrize('script', ['dist_train.sh', 'slurm_train.sh'])
def test_a_script_ends_with_the_exit_status_of_its_program(script, tmp_path):
    broken = tmp_path / 'srun'
    broken.write_text('#!/bin/sh\nexit 3\n')
    broken.chmod(0o755)
    path = f'{tmp_path}:{os.environ["PATH"]}'
    done = subprocess.run(
        [_TOOLS / script, 'a', '1', 'c'],
        env={**os.environ, 'PATH': path, 'PYTHON': str(broken)},
        capture_output=True,
    )
    assert done.returncode == 3
