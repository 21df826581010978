"""A run as a job of Slurm carries it out, without Slurm."""

import pytest
from made_plan import MadePlan

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.prepared import PreparedRun
from mcdrl_lab.plans.records import read_records
from mcdrl_lab.plans.slurm_task import RECORD_NAME, RunTask


@pytest.fixture
def task(tmp_path, monkeypatch):
    plan = MadePlan(tmp_path)
    monkeypatch.setenv('PYTHONPATH', plan.environment['PYTHONPATH'])
    (item,) = plan.runs(['a'], ['s1'])

    def run():
        RunTask(item, plan.out, plan.launch)()
        (record,) = read_records(plan.out / item.run.folder / RECORD_NAME)
        return record, plan.notes()

    return run


def test_a_task_trains_and_tests(task):
    record, notes = task()
    assert record.status == 'done'
    assert [note.split()[1] for note in notes] == ['train', *['epoch'] * 3, 'test']


@pytest.mark.parametrize(('good', 'done'), [(0, []), (1, ['train', *['epoch'] * 3])])
def test_a_task_fails_as_soon_as_its_data_have_changed(task, monkeypatch, good, done):
    """Before or during training: the data hash in its record would be wrong."""
    looks = []

    def check(item):
        looks.append(item)
        if len(looks) > good:
            raise ProtocolError('the files of its sites changed')

    monkeypatch.setattr(PreparedRun, 'check_data', check)
    record, notes = task()
    assert (record.status, record.error) == ('failed', 'the files of its sites changed')
    assert [note.split()[1] for note in notes] == done
