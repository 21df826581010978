import json
import os
import signal
import time
from pathlib import Path

import pytest
from made_plan import LIMIT_S, MadePlan

from mcdrl_common.file_lock import folder_lock
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.executor import run_environment
from mcdrl_lab.plans.plan import State, build_plan
from mcdrl_lab.plans.prepared import PreparedRun
from mcdrl_lab.plans.records import append_record


@pytest.fixture(params=['none', 'slurm'])
def place(request, tmp_path, monkeypatch):
    """A plan whose runs are function calls, and one whose runs a launcher starts."""
    monkeypatch.setattr('mcdrl_lab.plans.executor._POLL_S', 0.02)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    place = MadePlan(tmp_path, request.param)
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    return place


def alive(pid):
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except FileNotFoundError:
        return False
    return state != 'Z'


def wait_for(condition):
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


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
    assert record.duration_s > 0.03
    assert sum(r.duration_s for r in place.records()) < elapsed
    assert executor.progress.fraction == 1.0


def test_follow_up_work_is_prepared_while_the_last_runs_continue(place):
    hang, prepared = place.ask('hang'), []
    executor = place.executor(place.runs(['a', 'b'], ['s1']), jobs=3)

    def prepare():
        wait_for(lambda: len(place.notes('hangs')) == 2)
        prepared.append(len(place.records()))
        hang.unlink()

    executor.meanwhile = prepare
    assert executor.execute() == []
    assert prepared == [0]


def test_with_a_single_job_no_follow_up_work_is_prepared(place):
    executor, prepared = place.executor(), []
    executor.meanwhile = lambda: prepared.append(True)
    assert executor.execute() == []
    assert prepared == []


def test_a_finished_plan_runs_nothing_again(place):
    place.executor().execute()
    before = place.notes(), (place.out / 'records.jsonl').read_bytes()
    assert place.executor().execute() == []
    assert (place.notes(), (place.out / 'records.jsonl').read_bytes()) == before
    assert '4 of 4 runs are already finished' in place.said()


def test_only_methods_added_to_a_finished_plan_are_run(place):
    place.executor(place.runs(methods=['a'])).execute()
    place.executor().execute()
    assert len(place.notes('train from 1')) == len(place.records()) == 4


def test_one_failing_run_stops_no_other_and_is_reported(place):
    place.ask('fail', 'a/s1')
    failures = place.executor().execute()
    assert [str(f.run) for f in failures] == ['a/s1/seed0']
    assert failures[0].error.startswith('ValueError: the loss is nan (see ')
    statuses = {(r.method, r.held_out): r.status for r in place.records()}
    assert statuses.pop(('a', 's1')) == 'failed'
    assert set(statuses.values()) == {'done'}
    assert 'a/s1/seed0: FAILED: ValueError: the loss is nan' in place.said()


def test_a_failed_run_is_tried_again_by_the_next_command(place):
    place.ask('fail', 'a/s1')
    place.executor().execute()
    (place.folder / 'fail').unlink()
    assert place.executor().execute() == []
    assert len(place.records()) == 5
    assert len(place.notes('test')) == 4


def test_a_run_ended_by_a_signal_is_reported_with_that_signal(place):
    place.ask('killed')
    (failure,) = place.executor(place.runs(['a'], ['s1'])).execute()
    # A launcher reports in its own words how its process ended.
    shown = {'none': 'ended by signal 9 (SIGKILL)', 'slurm': 'Killed'}
    assert failure.error.startswith(shown[place.launch.launcher])


def test_training_without_a_best_checkpoint_is_a_failure(place):
    place.ask('nothing')
    (failure,) = place.executor(place.runs(['a'], ['s1'])).execute()
    assert 'no complete best_*.pth' in failure.error


def test_a_test_without_records_is_a_failure(place):
    place.ask('no_records', '0')
    (failure,) = place.executor(place.runs(['a'], ['s1'])).execute()
    assert 'the test wrote no' in failure.error


def test_a_failure_without_output_is_reported_by_its_exit_code(place):
    place.ask('no_records', '3')
    (failure,) = place.executor(place.runs(['a'], ['s1'])).execute()
    assert failure.error.startswith('exit code 3 (see ')


def test_an_error_of_the_executor_fails_one_run_and_stops_no_other(place):
    in_the_way = place.out / 'a/s1/seed0/config.py'
    in_the_way.mkdir(parents=True)
    (failure,) = place.executor().execute()
    assert str(failure.run) == 'a/s1/seed0'
    assert 'Error' in failure.error
    assert [r.status for r in place.records()].count('done') == 3


@pytest.mark.reliability('fault', 'a plan of runs killed')
def test_after_a_kill_every_run_is_resumed_and_none_is_repeated(place):
    hang = place.ask('hang')
    command = place.start_command()
    training = place.wait_until_hanging()
    # By SIGKILL, so that neither the command nor its child can clean up.
    command.kill()
    command.wait()
    os.kill(training, signal.SIGKILL)
    hang.unlink()
    assert place.executor().execute() == []
    assert place.notes('a/s1/seed0 train') == [
        'a/s1/seed0 train from 1 on None',
        'a/s1/seed0 train from 3 on None',
    ]
    assert place.notes('a/s1/seed0 epoch 2') == ['a/s1/seed0 epoch 2']
    assert 'a/s1/seed0: resumed' in place.said()
    assert len(place.records()) == len(place.notes('test')) == 4


@pytest.mark.reliability('fault', 'a command killed, whose training goes on')
def test_a_child_that_outlived_its_command_is_waited_for(place):
    hang = place.ask('hang')
    command = place.start_command()
    place.wait_until_hanging()
    command.kill()
    command.wait()
    holder = (place.out / 'a/s1/seed0/.lock-holder').read_text()
    executor = place.executor(place.runs(['a'], ['s1']))

    def let_go_when_waited_for():
        if f'waiting for {holder}' in place.said():
            hang.unlink(missing_ok=True)

    executor.reporter.tick = let_go_when_waited_for
    assert executor.execute() == []
    assert not hang.exists()
    # The child finished epoch 3 before the second command took over.
    notes = place.notes('a/s1')
    assert notes.index('a/s1/seed0 epoch 3') < notes.index(
        'a/s1/seed0 train from 4 on None'
    )


@pytest.mark.reliability('fault', 'a training that stands still, and a limit of time')
def test_a_stalled_training_is_ended_at_the_time_limit_and_the_others_continue(place):
    hang = place.ask('hang')
    executor = place.executor(place.runs(['a', 'b'], ['s1']), max_hours=1)

    def stop_the_first():
        if hang.exists() and place.notes('hangs'):
            os.kill(place.wait_until_hanging(), signal.SIGSTOP)
            hang.unlink()
            # As if an hour had passed.
            executor.max_hours = 1e-4
        elif place.records():
            executor.max_hours = 1

    executor.reporter.tick = stop_the_first
    (failure,) = executor.execute()
    assert str(failure.run) == 'a/s1/seed0'
    assert 'the train stage took more than --max-hours 0.0001' in failure.error
    wait_for(lambda: not alive(int(place.notes('hangs')[0].split()[-1])))
    assert [r.status for r in place.records()] == ['failed', 'done']
    with folder_lock(place.out / 'a/s1/seed0'):
        pass
    # The same command resumes the run.
    assert place.executor(place.runs(['a'], ['s1'])).execute() == []
    assert place.notes('a/s1')[-2:] == [
        'a/s1/seed0 epoch 3',
        'a/s1/seed0 test best_mDice_fg_epoch_3.pth',
    ]


def test_a_run_waits_for_an_earlier_process_only_up_to_the_time_limit(place):
    with folder_lock(place.out / 'a/s1/seed0'):
        runs = place.runs(['a'], ['s1'])
        (failure,) = place.executor(runs, max_hours=1e-4).execute()
    assert 'is being worked on by process' in failure.error
    assert place.notes('train') == []


@pytest.mark.parametrize('hours', [0, -1, float('nan')])
def test_a_time_limit_that_is_not_a_positive_number_is_refused(place, hours):
    with pytest.raises(ProtocolError, match='--max-hours'):
        place.executor(max_hours=hours)


@pytest.mark.reliability('fault', 'a plan asked to stop, or its terminal closed')
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_stopped_leaves_no_process_behind(place, number):
    place.ask('hang')
    command = place.start_command()
    training = place.wait_until_hanging()
    assert alive(training)
    command.send_signal(number)
    assert command.wait(LIMIT_S) == 130
    assert (
        'run the same command again to resume' in (place.folder / 'errors').read_text()
    )
    wait_for(lambda: not alive(training))
    assert place.notes('epoch 3') == []
    with folder_lock(place.out / 'a/s1/seed0'), folder_lock(place.out):
        pass
    assert place.state('a/s1/seed0')['attempts'][-1]['ended'] is not None


@pytest.mark.reliability('fault', 'a plan killed between training and test')
def test_a_run_killed_between_training_and_test_is_only_tested(place):
    fault = place.ask('no_records', '3')
    place.executor(place.runs(['a'], ['s1'])).execute()
    fault.unlink()
    assert place.executor(place.runs(['a'], ['s1'])).execute() == []
    assert len(place.notes('train')) == 1
    assert len(place.notes('test')) == 2


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


def test_an_interrupt_ends_the_running_processes(place):
    place.ask('hang')
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
    with folder_lock(place.out / 'a/s1/seed0'), folder_lock(place.out):
        pass
    assert place.records() == []


@pytest.mark.reliability('fault', 'two commands in one folder')
def test_a_second_command_in_the_same_folder_is_refused(place):
    with (
        folder_lock(place.out),
        pytest.raises(ProtocolError, match='is being worked on by process'),
    ):
        place.executor().execute()
    assert place.notes() == []


def test_jobs_run_side_by_side_on_their_devices(place):
    # The first run continues only after a second one has started.
    place.ask('meet')
    assert place.executor(jobs=2, devices=['3', '5']).execute() == []
    order = place.notes()
    assert 'train from' in order[0]
    assert 'train from' in order[1]
    assert {line.split()[-1] for line in order[:2]} == {'3', '5'}
    assert {line.split()[-1] for line in place.notes('train')} == {'3', '5'}
    assert len(place.records()) == 4


def test_jobs_share_the_cpu_cores(monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr(os, 'cpu_count', lambda: 8)
    assert run_environment(4)['OMP_NUM_THREADS'] == '2'
    assert 'OMP_NUM_THREADS' not in run_environment(1)


def test_zero_jobs_are_refused(place):
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


def test_changed_settings_of_an_unfinished_run_are_refused_and_named(place):
    place.ask('fail', 'a/s1')
    place.executor(place.runs(['a'], ['s1'])).execute()
    with pytest.raises(ProtocolError, match=r'these differ: model\.width\.'):
        place.executor(place.runs(['a'], ['s1'], width=2)).execute()


LARGER = {'epochs': 3, 'batch_size': 2, 'train_images': 4}


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'data_hash': 'more'}, r'another data hash \(data, now more\): choose'),
        ({'groups_hash': 'g'}, r'another hash of sequences and patients \(, now g\)'),
        ({'budget': LARGER}, r'another batch size over all processes \(1, now 2\)'),
    ],
)
def test_a_run_is_not_resumed_with_other_data_sequences_or_batch_size(
    place, change, words
):
    place.ask('fail', 'a/s1')
    place.executor(place.runs(['a'], ['s1'])).execute()
    (place.folder / 'fail').unlink()
    notes = place.notes()
    with pytest.raises(ProtocolError, match=words):
        place.executor(place.runs(['a'], ['s1'], **change)).execute()
    assert place.notes() == notes
    assert place.executor(place.runs(['a'], ['s1'])).execute() == []


def test_runs_with_the_same_files_but_another_split_cannot_join_a_plan(place):
    place.executor(place.runs(['a'], ['s1'])).execute()
    with pytest.raises(ProtocolError, match=r'b/s1/seed0 cannot join .*: a/s1/seed0 '):
        place.executor(place.runs(['b'], ['s1'], groups_hash='g')).execute()
    assert len(place.records()) == 1
    # Other files may have another split.
    other = place.runs(['b'], ['s1'], groups_hash='g', data_hash='other')
    assert place.executor(other).execute() == []


def test_a_run_without_a_checkpoint_starts_again_with_the_current_data(place):
    nothing = place.ask('nothing')
    (failure,) = place.executor(place.runs(['a'], ['s1'])).execute()
    assert 'left no complete best' in failure.error
    nothing.unlink()
    runs = place.runs(['a'], ['s1'], data_hash='mended')
    assert place.executor(runs).execute() == []
    assert place.records()[-1].data_hash == 'mended'
    assert place.state('a/s1/seed0')['origin']['data hash'] == 'mended'


def test_a_run_whose_older_state_lacks_its_data_hash_can_be_finished(place):
    place.ask('fail', 'a/s1')
    place.executor(place.runs(['a'], ['s1'])).execute()
    (place.folder / 'fail').unlink()
    state = place.state('a/s1/seed0')
    del state['origin']
    (place.out / 'a/s1/seed0/state.json').write_text(json.dumps(state))
    assert place.executor(place.runs(['a'], ['s1'])).execute() == []
    assert len(place.notes('train from 1 on')) == 1


def test_a_run_with_checkpoints_but_no_state_starts_from_the_beginning(place):
    place.ask('fail', 'a/s1')
    place.executor(place.runs(['a'], ['s1'])).execute()
    (place.folder / 'fail').unlink()
    (place.out / 'a/s1/seed0/state.json').unlink()
    assert place.executor(place.runs(['a'], ['s1'], width=2)).execute() == []
    assert len(place.notes('train from 1 on')) == 2
    assert 'state.json is missing: the run starts from the beginning' in place.said()


def test_a_finished_run_keeps_only_its_tested_checkpoint_by_default(place):
    place.executor(place.runs(['a'], ['s1'])).execute()
    place.executor(place.runs(['b'], ['s1']), keep_checkpoints=True).execute()

    def checkpoints(method):
        return sorted(p.name for p in (place.out / method).rglob('*.pth'))

    assert checkpoints('a') == ['best_mDice_fg_epoch_3.pth']
    assert len(checkpoints('b')) == 4


def test_oracle_runs_are_recorded_as_oracle_in_a_folder_of_their_own(place):
    place.executor(place.runs(['a'], ['s1'])).execute()
    (honest,) = place.runs(['a'], ['s1'])
    (run,) = build_plan([honest.run.method], ['s1'], [0], 'oracle')
    place.executor([PreparedRun(run, honest.cfg, 'h', 'data', honest.budget)]).execute()
    assert [r.selection for r in place.records()] == ['validation', 'oracle']
    assert (place.out / 'a-oracle/s1/seed0/test_records.json').is_file()


def test_the_time_left_is_estimated_from_runs_of_earlier_commands(place):
    place.executor(place.runs(['a'])).execute()
    executor = place.executor(place.runs())
    executor._unfinished()
    each = [r.duration_s for r in place.records()]
    assert executor.progress.count(State.DONE) == 2
    assert executor.progress.seconds_left() == pytest.approx(sum(each))


def test_the_state_of_a_run_records_its_stages_as_json(place):
    place.executor(place.runs(['a'], ['s1'])).execute()
    state = place.state('a/s1/seed0')
    assert state['tested'] is True
    assert [attempt['stage'] for attempt in state['attempts']] == ['train', 'test']


def left_between_test_and_record(place):
    """Make a run that is tested and not yet recorded; returns its folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mcdrl_lab.plans.executor.append_record', interrupted)
        with pytest.raises(KeyboardInterrupt):
            place.executor(place.runs(['a'], ['s1'])).execute()
    return place.out / 'a/s1/seed0'


def interrupted(*_):
    raise KeyboardInterrupt


@pytest.mark.reliability('fault', 'state.json of a run of a plan damaged')
@pytest.mark.parametrize(
    'content',
    ['', '{"settings": {', '[]', '{"attempts": [3]}', '{"checkpoint": "../../x.pth"}'],
)
def test_a_damaged_state_is_reported_and_set_aside_and_the_run_starts_again(
    place, content
):
    folder = left_between_test_and_record(place)
    (folder / 'state.json').write_text(content)
    assert place.executor(place.runs(['a'], ['s1'])).execute() == []
    assert 'state.json is damaged' in place.said()
    assert (folder / 'state.json.damaged').read_text() == content
    assert len(place.notes('train')) == len(place.notes('test')) == 2
    assert [record.status for record in place.records()] == ['done']


@pytest.mark.reliability('fault', 'records of a test in a plan lost or damaged')
@pytest.mark.parametrize('content', [None, '', '{"kind": 3}'])
def test_lost_or_damaged_test_records_are_reported_and_the_test_is_repeated(
    place, content
):
    folder = left_between_test_and_record(place)
    if content is None:
        (folder / 'test_records.json').unlink()
    else:
        (folder / 'test_records.json').write_text(content)
    assert place.executor(place.runs(['a'], ['s1'])).execute() == []
    assert 'test_records.json is missing or damaged' in place.said()
    assert len(place.notes('train')) == 1
    assert len(place.notes('test')) == 2
    assert [record.status for record in place.records()] == ['done']


@pytest.mark.reliability('fault', 'the best checkpoint of a plan lost or damaged')
@pytest.mark.parametrize('size', [None, 30])
def test_a_lost_or_damaged_best_checkpoint_is_reported_and_trained_again(place, size):
    fault = place.ask('no_records', '3')
    place.executor(place.runs(['a'], ['s1'])).execute()
    fault.unlink()
    (best,) = (place.out / 'a/s1/seed0').glob('best_*.pth')
    if size is None:
        best.unlink()
    else:
        os.truncate(best, size)
    assert place.executor(place.runs(['a'], ['s1'])).execute() == []
    assert f'{best.name} is missing or damaged' in place.said()
    assert len(place.notes('train')) == len(place.notes('test')) == 2
    assert place.records()[-1].status == 'done'
