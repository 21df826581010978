"""The engine with a made-up Slurm queue; a job only writes its record."""

import pytest
from made_plan import MadePlan

from mcdrl_lab.plans.slurm_engine import collect
from mcdrl_lab.plans.slurm_jobs import SlurmJobs


class Queue:
    """The jobs that Slurm lists: those that were submitted and have not ended."""

    def __init__(self, plan: MadePlan) -> None:
        self.plan = plan
        self.jobs: dict[str, str] = {}
        self.when_asked = lambda: None

    def submit(self, tasks, *_):
        new = {run: f'{len(self.jobs) + 1}' for run in tasks}
        self.jobs |= new
        return new

    def states(self, jobs):
        self.when_asked()
        return {job: ('RUNNING', '') for job in jobs if job in self.jobs.values()}

    def end(self, item, **values):
        """A job writes its record and leaves the queue."""
        folder = self.plan.out / item.run.folder
        folder.mkdir(parents=True, exist_ok=True)
        record = item.record(metrics={}, images=[], **values)
        (folder / 'record.json').write_text(record.to_json())
        self.jobs.pop(str(item.run), None)


@pytest.fixture
def plan(tmp_path):
    return MadePlan(tmp_path)


@pytest.fixture
def queue(plan, monkeypatch):
    queue = Queue(plan)
    module = 'mcdrl_lab.plans.slurm_engine'
    monkeypatch.setattr(f'{module}.submit', queue.submit)
    monkeypatch.setattr(f'{module}.job_states', queue.states)
    monkeypatch.setattr(f'{module}._ASK_S', 0.0)
    monkeypatch.setattr(f'{module}._POLL_S', 0.01)
    return queue


@pytest.mark.timeout(60)
@pytest.mark.parametrize('error', [None, 'ValueError: the loss is nan'])
def test_a_run_collected_by_another_command_ends_with_the_status_of_its_record(
    plan, queue, error
):
    (item,) = plan.runs(['a'], ['s1'])

    def end_and_collect():
        if queue.jobs:
            values = {} if error is None else dict(status='failed', error=error)
            queue.end(item, **values)
            # As plan-collect does.
            collect(plan.out)

    queue.when_asked = end_and_collect
    failures = plan.slurm_engine([item]).execute()
    assert [failure.error for failure in failures] == [error] * bool(error)
    assert len(plan.records()) == 1


@pytest.mark.timeout(60)
def test_runs_of_another_command_are_collected_but_not_waited_for(plan, queue):
    own, other = plan.runs(['a', 'b'], ['s1'])
    plan.out.mkdir()
    SlurmJobs(plan.out).add({str(other.run): '70'})

    def end_both():
        if queue.jobs:
            queue.end(own)
            queue.end(other)

    queue.when_asked = end_both
    assert plan.slurm_engine([own]).execute() == []
    assert {record.method for record in plan.records()} == {'a', 'b'}
    assert 'b/s1/seed0' not in plan.said()


@pytest.mark.timeout(60)
def test_a_job_that_left_the_queue_without_a_record_is_a_failure(plan, queue):
    (item,) = plan.runs(['a'], ['s1'])
    queue.when_asked = queue.jobs.clear
    (failure,) = plan.slurm_engine([item]).execute()
    assert failure.error.startswith(
        'its job 1 ended without a record: it was cancelled'
    )
