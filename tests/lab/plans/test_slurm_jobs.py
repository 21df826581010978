import json

import pytest
from made_plan import MadePlan

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.plan_status_command import run_states
from mcdrl_lab.plans.slurm_engine import collect
from mcdrl_lab.plans.slurm_jobs import SlurmJobs


@pytest.mark.parametrize(
    'content',
    [
        {'../victim/seed0': '1'},
        {'/tmp/victim/seed0': '1'},
        {'a/../seed0': '1'},
        {'a/s1': '1'},
        {'a/s1/seed0': 1},
        {'a/s1/seed0': '1; true'},
        ['a/s1/seed0'],
    ],
)
@pytest.mark.reliability('security', 'a list of Slurm jobs that leads out of its plan')
def test_job_lists_with_paths_outside_the_plan_or_invalid_jobs_are_refused(
    tmp_path, content
):
    (tmp_path / 'slurm_jobs.json').write_text(json.dumps(content))
    with pytest.raises(ProtocolError, match=r'METHOD/SITE/seedN -> job'):
        SlurmJobs(tmp_path).read()


@pytest.mark.parametrize('content', ['{', '[' * 100000])
def test_a_damaged_job_list_is_named_in_the_error(tmp_path, content):
    (tmp_path / 'slurm_jobs.json').write_text(content)
    with pytest.raises(ProtocolError, match=r'slurm_jobs\.json cannot be read'):
        SlurmJobs(tmp_path).read()


def test_the_record_of_another_run_is_not_collected(tmp_path):
    plan = MadePlan(tmp_path)
    plan.out.mkdir()
    SlurmJobs(plan.out).add({'a/s1/seed0': '7_0'})
    (other,) = plan.runs(['b'], ['s2'])
    folder = plan.out / 'a/s1/seed0'
    folder.mkdir(parents=True)
    record = other.record(metrics={}, images=[])
    (folder / 'record.json').write_text(record.to_json())
    with pytest.raises(ProtocolError, match='is not the record of a/s1/seed0'):
        collect(plan.out)
    assert not (plan.out / 'records.jsonl').exists()


@pytest.mark.parametrize('content', ['', 'twice'])
def test_a_damaged_record_is_named_when_run_states_are_listed(
    tmp_path, monkeypatch, content
):
    monkeypatch.setattr('mcdrl_lab.plans.slurm_queue.job_states', lambda jobs: {})
    plan = MadePlan(tmp_path)
    plan.out.mkdir()
    SlurmJobs(plan.out).add({'a/s1/seed0': '7_0'})
    folder = plan.out / 'a/s1/seed0'
    folder.mkdir(parents=True)
    (own,) = plan.runs(['a'], ['s1'])
    line = own.record(metrics={}, images=[]).to_json() + '\n'
    (folder / 'record.json').write_text(2 * line if content else '')
    with pytest.raises(ProtocolError, match=r'record\.json is not the record .*remove'):
        run_states(plan.out)


def test_a_lost_job_is_not_reported_as_failed_because_of_an_earlier_record(
    tmp_path, monkeypatch
):
    monkeypatch.setattr('mcdrl_lab.plans.slurm_queue.job_states', lambda jobs: {})
    plan = MadePlan(tmp_path)
    plan.out.mkdir()
    SlurmJobs(plan.out).add({'a/s1/seed0': '7_0'})
    folder = plan.out / 'a/s1/seed0'
    folder.mkdir(parents=True)
    (own,) = plan.runs(['a'], ['s1'])
    record = own.record(status='failed', error='the loss is nan')
    (folder / 'record.json').write_text(record.to_json())
    collect(plan.out)
    assert run_states(plan.out) == [('a/s1/seed0', 'failed', 'the loss is nan')]
    # Submitted again, and cancelled.
    (folder / 'collected_record.json').unlink()
    (folder / 'submitted.json').write_text('{}')
    SlurmJobs(plan.out).add({'a/s1/seed0': '8_0'})
    words = 'job 8_0 ended without a record'
    assert run_states(plan.out) == [('a/s1/seed0', 'lost', words)]
