import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.slurm_queue import job_state, job_states


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Function that puts a squeue with this output and exit code on the path."""

    def put(output='', error='', code=0):
        program = tmp_path / 'squeue'
        program.write_text(
            f"#!/bin/sh\necho '{output}'\necho '{error}' >&2\nexit {code}\n"
        )
        program.chmod(0o755)

    monkeypatch.setenv('PATH', f'{tmp_path}:/bin:/usr/bin')
    return put


def test_state_of_a_job_is_the_first_that_squeue_prints(squeue):
    squeue('RUNNING\nCOMPLETING')
    assert job_state('12_3') == 'RUNNING'


def test_a_job_that_slurm_forgot_has_no_state(squeue):
    squeue(error='slurm_load_jobs error: Invalid job id specified', code=1)
    assert job_state('12_3') == ''


def test_only_states_of_the_requested_jobs_are_returned(squeue):
    squeue('12_3|PENDING|Resources\n12_4|RUNNING|None\n9|RUNNING|None')
    assert job_states(['12_3', '9', '7']) == {
        '12_3': ('PENDING', 'Resources'),
        '9': ('RUNNING', 'None'),
    }


def test_slurm_is_not_asked_about_an_empty_list_of_jobs(monkeypatch):
    monkeypatch.setenv('PATH', '')
    assert job_states([]) == {}


@pytest.mark.parametrize('ask', [job_state, lambda job: job_states([job])])
def test_an_error_of_squeue_is_reported_with_its_command(squeue, ask):
    squeue(error='Unable to contact slurm controller', code=1)
    with pytest.raises(ProtocolError, match=r'`squeue .*`: Unable to contact'):
        ask('12_3')


def test_a_missing_squeue_is_reported_with_the_job(monkeypatch):
    monkeypatch.setenv('PATH', '')
    with pytest.raises(ProtocolError, match=r'--jobs=12_3.*squeue'):
        job_state('12_3')
