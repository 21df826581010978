import json
import multiprocessing
import os
import signal
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
from mmengine.config import Config

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.file_lock import FolderLock
from mcdrl_lab.plans.executor import PlanExecutor, Tools
from mcdrl_lab.plans.plan import Method, PlanProgress, State, build_plan
from mcdrl_lab.plans.prepared import PreparedRun
from mcdrl_lab.plans.progress import PlainReporter
from mcdrl_lab.plans.records import append_record, read_records
from mcdrl_lab.plans.run_folder import RunFolder

# Longer than anything here takes on the slowest machine.
LIMIT_S = 300

# Stands in for tools/train.py: three epochs of 0.1 s, notes every epoch that it
# trains, and does what the files beside it ask for.
FAKE_TRAIN = """
import os, pathlib, sys, time, zipfile
here = pathlib.Path(__file__).parent
work = pathlib.Path(sys.argv[sys.argv.index('--work-dir') + 1])
name = '/'.join(work.parts[-3:])
def note(what):
    with open(here / 'notes', 'a') as file:
        print(name, what, file=file)
def wait_while(condition):
    end = time.monotonic() + 300
    while condition():
        assert time.monotonic() < end
        time.sleep(0.02)
def save(file):
    with zipfile.ZipFile(work / file, 'w') as archive:
        archive.writestr('weights', '0')
first = 1
if '--resume' in sys.argv:
    last = pathlib.Path((work / 'last_checkpoint').read_text())
    first = int(last.stem.split('_')[1]) + 1
note(f'train from {first} on {os.environ.get("CUDA_VISIBLE_DEVICES")}')
if (here / 'meet').exists():
    wait_while(lambda: (here / 'notes').read_text().count('train from') < 2)
for epoch in range(first, 4):
    time.sleep(0.1)
    note(f'epoch {epoch}')
    save(f'epoch_{epoch}.pth')
    (work / 'last_checkpoint').write_text(str(work / f'epoch_{epoch}.pth'))
    for old in work.glob('best_*'):
        old.unlink()
    save(f'best_mDice_fg_epoch_{epoch}.pth')
    if (here / 'hang').exists() and epoch == 2:
        note('hangs')
        wait_while((here / 'hang').exists)
if (here / 'fail').exists() and (here / 'fail').read_text() in name:
    raise ValueError('the loss is nan')
"""

FAKE_TEST = """
import json, pathlib, sys
here = pathlib.Path(__file__).parent
checkpoint = pathlib.Path(sys.argv[2])
work = pathlib.Path(sys.argv[sys.argv.index('--work-dir') + 1])
assert checkpoint.is_file()
with open(here / 'notes', 'a') as file:
    print('/'.join(work.parts[-3:]), 'test', checkpoint.name, file=file)
image = {'image': 'i', 'sequence': None, 'has_lesion': True, 'dice': 0.5}
content = {'kind': 'mcdrl_mmseg.site_lesion_records', 'schema': 1,
           'metrics': {'mDice_fg': 0.5, 'mHD95': None}, 'images': [image]}
(work / 'test_records.json').write_text(json.dumps(content))
"""


class Place:
    """A plan of fake runs in a folder."""

    def __init__(self, folder, modules):
        self.folder = folder
        self.modules = modules
        self.out = folder / 'out'
        self.config = folder / 'c.py'
        self.config.write_text('')
        (folder / 'train.py').write_text(textwrap.dedent(FAKE_TRAIN))
        (folder / 'test.py').write_text(textwrap.dedent(FAKE_TEST))

    def runs(self, methods=('a', 'b'), sites=('s1', 's2'), width=1):
        plan = build_plan([Method(m, str(self.config)) for m in methods], sites, [0])
        cfg = Config(
            {
                'model': {'width': width},
                'train_cfg': {'max_epochs': 3},
                'test_evaluator': {'type': 'SiteLesionMetric'},
                'default_hooks': {'checkpoint': {'save_best': 'mDice_fg'}},
            }
        )
        budget = {'epochs': 3, 'batch_size': 1, 'train_images': 4}
        return [PreparedRun(run, cfg, f'hash{width}', 'data', budget) for run in plan]

    def executor(self, runs=None, **options):
        runs = self.runs() if runs is None else runs
        self.lines = (self.folder / 'lines').open('a+')
        progress = PlanProgress([item.run for item in runs])
        reporter = PlainReporter(progress, self.lines, interval_s=1e9)
        programs = self.folder / 'train.py', self.folder / 'test.py'
        tools = Tools(*programs, modules=self.modules)
        return PlanExecutor(runs, self.out, tools, reporter=reporter, **options)

    def notes(self, word=''):
        path = self.folder / 'notes'
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if word in line]

    def said(self):
        return (self.folder / 'lines').read_text()

    def records(self):
        return read_records(self.out / 'records.jsonl')

    def wait_until_hanging(self, command):
        """Wait for a command's first run to hang; returns the run's process id."""
        lock = self.out / 'a/s1/seed0/.lock'
        end = time.monotonic() + LIMIT_S
        while True:
            holder = lock.read_text().split() if self.notes('hangs') else []
            # The command itself is named until its child is.
            if holder and int(holder[1]) != command.pid:
                return int(holder[1])
            assert time.monotonic() < end, f'nothing hangs in {self.notes()}'
            time.sleep(0.02)


@pytest.fixture(params=[(), ('json',)], ids=['started', 'forked'])
def place(request, tmp_path, monkeypatch):
    monkeypatch.setattr('mcdrl_lab.plans.executor._POLL_S', 0.02)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    return Place(tmp_path, request.param)


def test_every_run_is_trained_tested_and_recorded_once(place):
    executor = place.executor()
    begin = time.time()
    assert executor.execute() == []
    elapsed = time.time() - begin
    keys = {(r.method, r.held_out) for r in place.records()}
    assert keys == {(m, s) for m in 'ab' for s in ('s1', 's2')}
    assert len(place.records()) == 4
    assert len(place.notes('train from 1')) == 4
    assert len(place.notes('test best_mDice_fg_epoch_3.pth')) == 4
    record = place.records()[0]
    assert record.metrics['mDice_fg'] == 0.5
    assert record.metrics['mHD95'] != record.metrics['mHD95']
    assert record.images[0]['dice'] == 0.5
    assert record.status == 'done'
    assert record.duration_s > 0.3
    assert sum(r.duration_s for r in place.records()) < elapsed
    assert executor.progress.fraction == 1.0


def test_a_finished_plan_runs_nothing_again(place):
    place.executor().execute()
    before = place.notes(), (place.out / 'records.jsonl').read_bytes()
    assert place.executor().execute() == []
    assert (place.notes(), (place.out / 'records.jsonl').read_bytes()) == before
    assert '4 of 4 runs are finished already' in place.said()


def test_more_methods_are_added_to_a_finished_plan(place):
    place.executor(place.runs(methods=['a'])).execute()
    place.executor().execute()
    assert len(place.notes('train from 1')) == len(place.records()) == 4


def test_one_failing_run_stops_no_other_and_is_reported(place):
    (place.folder / 'fail').write_text('a/s1')
    failures = place.executor().execute()
    assert [str(f.run) for f in failures] == ['a/s1/seed0']
    assert failures[0].error.startswith('ValueError: the loss is nan (see ')
    statuses = {(r.method, r.held_out): r.status for r in place.records()}
    assert statuses.pop(('a', 's1')) == 'failed'
    assert set(statuses.values()) == {'done'}
    assert 'a/s1/seed0: FAILED: ValueError: the loss is nan' in place.said()


def test_a_failed_run_is_tried_again_by_the_next_command(place):
    (place.folder / 'fail').write_text('a/s1')
    place.executor().execute()
    (place.folder / 'fail').unlink()
    assert place.executor().execute() == []
    assert len(place.records()) == 5
    assert len(place.notes('test')) == 4


def test_a_process_ended_by_a_signal_is_named(place):
    (place.folder / 'train.py').write_text('import os; os.kill(os.getpid(), 9)')
    (failure,) = place.executor(place.runs(['a'], ['s1'])).execute()
    assert failure.error.startswith('ended by signal 9 (SIGKILL)')


def test_training_without_a_best_checkpoint_is_a_failure(place):
    (place.folder / 'train.py').write_text('')
    (failure,) = place.executor(place.runs(['a'], ['s1'])).execute()
    assert 'no whole best_*.pth' in failure.error


def test_a_test_without_records_is_a_failure(place):
    (place.folder / 'test.py').write_text('')
    (failure,) = place.executor(place.runs(['a'], ['s1'])).execute()
    assert 'the test wrote no' in failure.error


def test_a_fault_of_our_own_in_one_run_stops_no_other(place):
    in_the_way = place.out / 'a/s1/seed0/config.py'
    in_the_way.mkdir(parents=True)
    (failure,) = place.executor().execute()
    assert str(failure.run) == 'a/s1/seed0'
    assert 'Error' in failure.error
    assert [r.status for r in place.records()].count('done') == 3


def execute_in_process(place):
    context = multiprocessing.get_context('fork')
    process = context.Process(target=place.executor().execute)
    process.start()
    return process


@pytest.mark.reliability('fault', 'a plan of runs killed')
def test_after_a_kill_every_run_goes_on_and_none_is_done_twice(place):
    (place.folder / 'hang').touch()
    process = execute_in_process(place)
    child = place.wait_until_hanging(process)
    # The hard way: neither the command nor its child can tidy up.
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    os.kill(child, signal.SIGKILL)
    (place.folder / 'hang').unlink()
    assert place.executor().execute() == []
    assert place.notes('a/s1/seed0 train') == [
        'a/s1/seed0 train from 1 on None',
        'a/s1/seed0 train from 3 on None',
    ]
    assert place.notes('a/s1/seed0 epoch 2') == ['a/s1/seed0 epoch 2']
    assert 'a/s1/seed0: resumed' in place.said()
    assert len(place.records()) == len(place.notes('test')) == 4


def test_a_child_that_outlived_its_command_is_waited_for(place):
    hang = place.folder / 'hang'
    hang.touch()
    process = execute_in_process(place)
    child = place.wait_until_hanging(process)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    executor = place.executor(place.runs(['a'], ['s1']))

    def let_go_when_waited_for():
        if f'still busy through process {child}' in place.said():
            hang.unlink(missing_ok=True)

    executor.reporter.tick = let_go_when_waited_for
    assert executor.execute() == []
    assert not hang.exists()
    # The child finished epoch 3 before the second command took over.
    notes = place.notes('a/s1')
    assert notes.index('a/s1/seed0 epoch 3') < notes.index(
        'a/s1/seed0 train from 4 on None'
    )


@pytest.mark.reliability('fault', 'a plan killed between training and test')
def test_a_run_killed_between_training_and_test_is_only_tested(place):
    (place.folder / 'test.py').write_text('raise SystemExit(3)')
    place.executor(place.runs(['a'], ['s1'])).execute()
    (place.folder / 'test.py').write_text(FAKE_TEST)
    assert place.executor(place.runs(['a'], ['s1'])).execute() == []
    assert len(place.notes('train')) == 1
    assert len(place.notes('test')) == 1


@pytest.mark.reliability('fault', 'a plan killed between test and record')
def test_a_run_killed_between_test_and_record_is_only_recorded(place, monkeypatch):
    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr('mcdrl_lab.plans.executor.append_record', killed)
    with pytest.raises(KeyboardInterrupt):
        place.executor(place.runs(['a'], ['s1'])).execute()
    monkeypatch.setattr('mcdrl_lab.plans.executor.append_record', append_record)
    assert place.executor(place.runs(['a'], ['s1'])).execute() == []
    assert len(place.notes('train')) == len(place.notes('test')) == 1
    assert len(place.records()) == 1


def test_stopping_ends_the_running_processes(place):
    (place.folder / 'hang').touch()
    executor = place.executor()

    def stop_when_hanging():
        if place.notes('hangs'):
            raise KeyboardInterrupt

    executor.reporter.tick = stop_when_hanging
    with pytest.raises(KeyboardInterrupt):
        executor.execute()
    assert (place.folder / 'hang').exists()
    assert place.notes('epoch 3') == []
    assert len(place.notes('train')) == 1
    with FolderLock(place.out / 'a/s1/seed0'), FolderLock(place.out):
        pass
    assert place.records() == []


@pytest.mark.reliability('fault', 'two commands in one folder')
def test_two_commands_do_not_work_on_one_folder(place):
    with (
        FolderLock(place.out),
        pytest.raises(ProtocolError, match='is being worked on by process'),
    ):
        place.executor().execute()
    assert place.notes() == []


def test_jobs_run_side_by_side_on_their_devices(place):
    # The first run goes on only when a second one has begun.
    (place.folder / 'meet').touch()
    assert place.executor(jobs=2, devices=['3', '5']).execute() == []
    order = place.notes()
    assert 'train from' in order[0]
    assert 'train from' in order[1]
    assert {line.split()[-1] for line in order[:2]} == {'3', '5'}
    assert {line.split()[-1] for line in place.notes('train')} == {'3', '5'}
    assert len(place.records()) == 4


def test_runs_are_forked_where_modules_are_named_and_no_launcher_is(place, monkeypatch):
    tools = place.executor().tools
    assert tools.preloads() == bool(place.modules)
    assert not replace(tools, launcher='pytorch').preloads()
    monkeypatch.setattr(sys, 'platform', 'darwin')
    assert not tools.preloads()


@pytest.mark.reliability('fault', 'the fork server killed')
def test_without_its_fork_server_a_plan_goes_on(place):
    executor = place.executor()

    def kill_the_server():
        if executor._server is not None and place.notes():
            os.kill(executor._server.pid, signal.SIGKILL)
            executor.reporter.tick = lambda: None

    executor.reporter.tick = kill_the_server
    failures = executor.execute()
    assert len(failures) <= 1
    assert {f.error.partition(' (see')[0] for f in failures} <= {
        'ended by signal 9 (SIGKILL)'
    }
    assert [r.status for r in place.records()].count('done') == 4 - len(failures)


def test_jobs_share_the_processors(place, monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr(os, 'cpu_count', lambda: 8)
    assert place.executor(jobs=4)._environment(None)['OMP_NUM_THREADS'] == '2'
    assert 'OMP_NUM_THREADS' not in place.executor()._environment(None)


def test_no_jobs_is_refused(place):
    with pytest.raises(ProtocolError, match='--jobs 0'):
        place.executor(jobs=0)


def test_changed_settings_under_the_same_name_are_refused_before_any_run(place):
    place.executor(place.runs(['a'], ['s2'])).execute()
    notes = place.notes()
    with pytest.raises(
        ProtocolError, match='a/s2/seed0 is already recorded with other'
    ):
        place.executor(place.runs(width=2)).execute()
    assert place.notes() == notes


def test_changed_settings_of_an_unfinished_run_are_refused_by_name(place):
    (place.folder / 'fail').write_text('a/s1')
    place.executor(place.runs(['a'], ['s1'])).execute()
    with pytest.raises(ProtocolError, match=r'these differ: model\.width\.'):
        place.executor(place.runs(['a'], ['s1'], width=2)).execute()


def test_only_the_tested_checkpoint_stays_of_a_finished_run(place):
    place.executor(place.runs(['a'], ['s1'])).execute()
    place.executor(place.runs(['b'], ['s1']), keep_checkpoints=True).execute()

    def checkpoints(method):
        return sorted(p.name for p in (place.out / method).rglob('*.pth'))

    assert checkpoints('a') == ['best_mDice_fg_epoch_3.pth']
    assert len(checkpoints('b')) == 4


def test_oracle_runs_are_recorded_as_such_and_apart(place):
    place.executor(place.runs(['a'], ['s1'])).execute()
    (honest,) = place.runs(['a'], ['s1'])
    (run,) = build_plan([honest.run.method], ['s1'], [0], 'oracle')
    place.executor([PreparedRun(run, honest.cfg, 'h', 'data', honest.budget)]).execute()
    assert [r.selection for r in place.records()] == ['validation', 'oracle']
    assert (place.out / 'a-oracle/s1/seed0/test_records.json').is_file()


def test_finished_runs_of_earlier_commands_tell_the_time_left(place):
    place.executor(place.runs(['a'])).execute()
    executor = place.executor(place.runs())
    executor._left()
    each = [r.duration_s for r in place.records()]
    assert executor.progress.count(State.DONE) == 2
    assert executor.progress.seconds_left() == pytest.approx(sum(each))


def test_the_state_of_a_run_is_plain_json(place):
    place.executor(place.runs(['a'], ['s1'])).execute()
    folder = RunFolder(Path(place.out, 'a/s1/seed0'))
    state = json.loads((folder.path / 'state.json').read_text())
    assert state['tested'] is True
    assert [attempt['stage'] for attempt in state['attempts']] == ['train', 'test']
