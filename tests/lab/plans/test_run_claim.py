import json
import os
import socket
import subprocess
import sys

import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans import run_claim
from mcdrl_lab.plans.run_claim import RunClaimedError, claimed, holder_of

HERE = socket.gethostname()


@pytest.fixture
def claim(tmp_path):
    """Function that leaves the claim of another holder."""

    def leave(**holder):
        content = dict(host=HERE, pid=os.getpid(), job=None) | holder
        (tmp_path / '.claim').write_text(json.dumps(content))

    return leave


@pytest.fixture
def slurm_says(monkeypatch):
    """Function that sets the state that Slurm reports for any job."""

    def say(state):
        monkeypatch.setattr(run_claim, 'job_state', lambda job: state)

    return say


def ended_process():
    process = subprocess.Popen([sys.executable, '-c', ''])
    process.wait()
    return process.pid


def test_a_claim_names_its_holder_and_is_removed_afterwards(tmp_path, monkeypatch):
    monkeypatch.setenv('SLURM_JOB_ID', '15')
    monkeypatch.setenv('SLURM_ARRAY_JOB_ID', '12')
    monkeypatch.setenv('SLURM_ARRAY_TASK_ID', '3')
    with claimed(tmp_path / 'run'):
        holder = holder_of(tmp_path / 'run')
        assert (holder.host, holder.pid, holder.job) == (HERE, os.getpid(), '12_3')
    assert list((tmp_path / 'run').iterdir()) == []


def test_a_running_process_keeps_others_out(tmp_path, claim):
    claim()
    with (
        pytest.raises(RunClaimedError, match=f'process {os.getpid()} on {HERE}'),
        claimed(tmp_path),
    ):
        pass
    assert holder_of(tmp_path).pid == os.getpid()


def test_the_claim_of_a_dead_process_blocks_nobody(tmp_path, claim):
    claim(pid=ended_process())
    with claimed(tmp_path):
        assert holder_of(tmp_path).pid == os.getpid()


def test_a_claim_from_another_machine_has_to_be_removed_by_hand(tmp_path, claim):
    claim(host='elsewhere', pid=ended_process())
    with pytest.raises(RunClaimedError, match=r'remove .*\.claim'), claimed(tmp_path):
        pass


@pytest.mark.parametrize('state', ['RUNNING', 'PENDING', 'COMPLETING'])
def test_an_active_slurm_job_keeps_others_out(tmp_path, claim, slurm_says, state):
    slurm_says(state)
    claim(host='elsewhere', pid=1, job='12_3')
    with pytest.raises(RunClaimedError, match='Slurm job 12_3'), claimed(tmp_path):
        pass


@pytest.mark.parametrize('state', ['', 'CANCELLED', 'COMPLETED', 'NODE_FAIL'])
def test_a_slurm_job_that_has_ended_blocks_nobody(tmp_path, claim, slurm_says, state):
    slurm_says(state)
    claim(host='elsewhere', pid=1, job='12_3')
    with claimed(tmp_path):
        assert holder_of(tmp_path).job is None


def test_a_requeued_job_takes_over_its_own_claim(
    tmp_path, claim, slurm_says, monkeypatch
):
    slurm_says('RUNNING')
    monkeypatch.setenv('SLURM_JOB_ID', '12')
    claim(host='elsewhere', pid=1, job='12')
    with claimed(tmp_path):
        assert holder_of(tmp_path).pid == os.getpid()


@pytest.mark.parametrize(
    'content',
    [
        '{',
        '[' * 100000,
        '{"host": "a"}',
        '{"host": "a", "pid": "x"}',
        '{"host": "a", "pid": 1e30}',
        '{"host": "a", "pid": 1, "job": "1; true"}',
        os.mkfifo,
        os.mkdir,
        lambda path: path.symlink_to('nowhere'),
    ],
)
def test_a_file_that_is_not_a_valid_claim_is_named_in_the_error(tmp_path, content):
    path = tmp_path / '.claim'
    content(path) if callable(content) else path.write_text(content)
    with (
        pytest.raises(ProtocolError, match=r'\.claim names no process'),
        claimed(tmp_path),
    ):
        pass
