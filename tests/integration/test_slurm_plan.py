"""A plan as a job array of a real Slurm, with trainings that take no time.

Every job imports PyTorch: two runs are enough for most of what can happen to them.
"""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from made_plan import LIMIT_S, MadePlan
from slurm import slurm  # noqa: F401

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans import run_claim
from mcdrl_lab.plans.plan_status_command import run_states
from mcdrl_lab.plans.slurm_engine import SlurmEngine
from mcdrl_lab.plans.slurm_jobs import SlurmJobs


@pytest.fixture
def plan(tmp_path, slurm, monkeypatch):  # noqa: F811
    made = MadePlan(tmp_path)
    # Jobs inherit the environment of the command that submits them.
    for name, value in made.environment.items():
        if name != 'PATH':
            monkeypatch.setenv(name, value)
    monkeypatch.setattr('mcdrl_lab.plans.slurm_engine._ASK_S', 1.0)
    monkeypatch.setattr('mcdrl_lab.plans.slurm_engine._POLL_S', 0.1)
    return made


def two_runs(plan):
    """One method on the two sites."""
    return plan.runs(['a'])


def start_two_runs(plan, fresh=False):
    """Start two runs by a separate command, and wait until the first one hangs."""
    hang = plan.ask('hang')
    command = plan.start_command('slurm_engine', ['a'], fresh)
    plan.wait_until_hanging()
    return hang, command


def wait_for(condition):
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def results(plan):
    """Records by run, without the values that differ each time."""
    return {
        record.key: (record.status, dict(record.metrics)['mDice_fg'], record.images)
        for record in plan.records()
    }


def test_a_job_array_gives_the_same_records_as_the_local_engine(
    plan, tmp_path, monkeypatch
):
    assert plan.slurm_engine(jobs=2).execute() == []
    local = tmp_path / 'local'
    local.mkdir()
    other = MadePlan(local)
    # Forked children have this process's path.
    monkeypatch.syspath_prepend(local)
    assert other.executor().execute() == []
    assert results(plan) == results(other)
    assert len(results(plan)) == 4
    jobs = SlurmJobs(plan.out).read()
    # One job array: its number, and those of its tasks.
    assert len({job.partition('_')[0] for job in jobs.values()}) == 1
    assert sorted(job.partition('_')[2] for job in jobs.values()) == list('0123')
    assert '4 submitted now' in plan.said()
    # The second time nothing is left to do.
    assert plan.slurm_engine().execute() == []
    assert len(plan.notes('train from')) == 4
    assert '4 of 4 runs are finished, 0 already queued, 0 submitted now' in plan.said()


def test_concurrent_runs_of_two_processes_each_use_free_ports(plan):
    """Two concurrent runs by torchrun, whose default port is the same for all."""
    plan.ask('meet')
    assert (
        plan.slurm_engine(plan.runs(['a']), launcher='pytorch', jobs=2).execute() == []
    )


def test_a_requeued_run_resumes_from_its_checkpoint(plan):
    hang, command = start_two_runs(plan)
    holder = run_claim.holder_of(plan.out / 'a/s1/seed0')
    assert holder.job == SlurmJobs(plan.out).read()['a/s1/seed0']
    # The signal that Slurm sends before the time limit, or before it requeues a job.
    os.kill(holder.pid, signal.SIGUSR2)
    wait_for(lambda: run_claim.holder_of(plan.out / 'a/s1/seed0') is None)
    hang.unlink()
    assert command.wait(LIMIT_S) == 0, (plan.folder / 'errors').read_text()
    assert plan.notes('a/s1/seed0 train')[0].startswith('a/s1/seed0 train from 1')
    assert plan.notes('a/s1/seed0 train')[1].startswith('a/s1/seed0 train from 3')
    assert plan.notes('a/s1/seed0 epoch') == [
        f'a/s1/seed0 epoch {n}' for n in (1, 2, 3)
    ]
    assert [record.status for record in plan.records()] == ['done'] * 2


def test_a_failing_run_is_recorded_with_its_reason_and_retried_at_the_next_call(plan):
    fail = plan.ask('fail', 'a/s1')
    (failure,) = plan.slurm_engine(two_runs(plan)).execute()
    assert str(failure.run) == 'a/s1/seed0'
    assert failure.error.startswith('ValueError: the loss is nan (see ')
    states = {run: state for run, state, _ in run_states(plan.out)}
    assert states.pop('a/s1/seed0') == 'failed'
    assert states == {'a/s2/seed0': 'done'}
    fail.unlink()
    assert plan.slurm_engine(two_runs(plan)).execute() == []
    assert '1 of 2 runs are finished, 0 already queued, 1 submitted now' in plan.said()


def test_the_command_can_be_stopped_and_started_again_while_jobs_continue(plan):
    # In one test the command is started as a user does.
    hang, command = start_two_runs(plan, fresh=True)
    command.send_signal(signal.SIGTERM)
    assert command.wait(LIMIT_S) == 130
    states = {run: (state, words) for run, state, words in run_states(plan.out)}
    state, words = states['a/s1/seed0']
    assert state == 'running'
    assert words.endswith('last checkpoint epoch_2')
    assert states['a/s2/seed0'][0] == 'queued'
    hang.unlink()
    # Nothing is submitted twice.
    assert plan.slurm_engine(two_runs(plan)).execute() == []
    assert '2 already queued, 0 submitted now' in plan.said()
    assert len(plan.notes('train from 1')) == 2


def test_a_run_that_is_queued_with_other_settings_or_data_is_an_error(
    plan, monkeypatch
):
    hang, command = start_two_runs(plan)
    job = SlurmJobs(plan.out).read()['a/s2/seed0']
    # Otherwise this test would wait as long as for a run that hangs.
    monkeypatch.setattr(
        SlurmEngine, '_wait', lambda *_: pytest.fail('it is waited for')
    )
    for change, words in (
        (dict(width=2), 'settings hash'),
        (dict(data_hash='more'), 'data hash'),
    ):
        told = f'a/s2/seed0 is queued as job {job} with another {words}: '
        with pytest.raises(ProtocolError, match=told):
            plan.slurm_engine(plan.runs(['a'], ['s2'], **change)).execute()
    hang.unlink()
    assert command.wait(LIMIT_S) == 0, (plan.folder / 'errors').read_text()


def test_cancelled_runs_count_as_failures_and_resume_at_the_next_call(plan):
    hang, command = start_two_runs(plan)
    array = SlurmJobs(plan.out).read()['a/s1/seed0'].partition('_')[0]
    subprocess.run(['scancel', array], check=True)
    # Exit code of COMMAND: the number of failures.
    assert command.wait(LIMIT_S) == 2
    hang.unlink()
    assert plan.slurm_engine(two_runs(plan)).execute() == []
    assert plan.notes('a/s1/seed0 train')[1].startswith('a/s1/seed0 train from 3')


def test_plan_collect_gathers_records_of_jobs_that_no_command_waited_for(plan):
    hang, command = start_two_runs(plan)
    os.kill(command.pid, signal.SIGTERM)
    command.wait(LIMIT_S)
    hang.unlink()
    wait_for(lambda: {s for _, s, _ in run_states(plan.out)} == {'done'})
    done = subprocess.run(
        [sys.executable, '-m', 'mcdrl_lab', 'plan-collect', plan.out],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('2 new records.')
    assert len(plan.records()) == 2
    assert not list(plan.out.glob('*/*/*/record.json'))


def test_the_claim_of_a_finished_job_does_not_block_a_run(plan):
    folder = plan.out / 'a/s1/seed0'
    folder.mkdir(parents=True)
    dead = dict(host='elsewhere', pid=1, job='4000000')
    (folder / '.claim').write_text(json.dumps(dead))
    assert plan.slurm_engine(plan.runs(['a'], ['s1'])).execute() == []
