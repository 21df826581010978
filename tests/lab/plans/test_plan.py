import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.plan import Method, PlanProgress, State, build_plan


@pytest.fixture
def methods(tmp_path):
    config = tmp_path / 'c.py'
    config.write_text('')
    return [Method('a', str(config)), Method('b', str(config))]


def test_a_plan_is_methods_times_folds_times_seeds(methods):
    plan = build_plan(methods, ['s1', 's2', 's3'], range(2))
    assert len({run.key for run in plan}) == len(plan) == 12


def test_methods_alternate_so_that_a_plan_stopped_early_can_be_compared(methods):
    plan = build_plan(methods, ['s1', 's2'], [0, 1])
    assert [str(run) for run in plan[:4]] == [
        'a/s1/seed0',
        'b/s1/seed0',
        'a/s2/seed0',
        'b/s2/seed0',
    ]


def test_oracle_runs_have_folders_of_their_own(methods):
    (run,) = build_plan(methods[:1], ['s1'], [0], 'oracle')
    assert run.folder.as_posix() == 'a-oracle/s1/seed0'
    assert run.key == ('a', 's1', 0, 'oracle')


def test_method_names_must_differ_and_be_valid_folder_names(methods):
    with pytest.raises(ProtocolError, match='several methods are named a'):
        build_plan([methods[0], methods[0]], ['s'], [0])
    with pytest.raises(ProtocolError, match="method 'a/b' cannot name a folder"):
        Method('a/b', methods[0].config)
    with pytest.raises(ProtocolError, match='must not end with -oracle'):
        build_plan([Method('a-oracle', methods[0].config)], ['s'], [0])


def test_a_missing_config_is_named_in_the_error():
    with pytest.raises(ProtocolError, match=r"a: no config file 'none\.py'"):
        Method('a', 'none.py')


@pytest.fixture
def progress(methods):
    return PlanProgress(build_plan(methods, ['s1', 's2'], [0]))


def keys(progress):
    return list(progress.runs)


def test_the_time_left_is_unknown_before_any_progress(progress):
    assert progress.seconds_left() is None
    progress.start(keys(progress)[0], 0.0, now=0.0)
    assert progress.seconds_left(now=5.0) is None


def test_the_time_left_is_estimated_from_finished_runs(progress):
    first, second, *_ = keys(progress)
    progress.finish(first, State.DONE, 100.0)
    assert progress.seconds_left() == pytest.approx(300.0)
    progress.start(second, 0.0, now=0.0)
    progress.runs[second].fraction = 0.25
    assert progress.seconds_left(now=1.0) == pytest.approx(275.0)
    assert progress.fraction == pytest.approx(1.25 / 4)


def test_the_first_run_gives_an_estimate_before_it_ends(progress):
    first = keys(progress)[0]
    # Resumed at a half; a quarter more took 30 s, so a whole run takes 120 s.
    progress.start(first, 0.5, now=0.0)
    progress.runs[first].fraction = 0.75
    assert progress.seconds_left(now=30.0) == pytest.approx(30.0 + 3 * 120.0)


def test_jobs_divide_the_time_left_except_that_of_the_last_run(methods):
    progress = PlanProgress(build_plan(methods, ['s1', 's2'], [0]), jobs=2)
    first, *rest = keys(progress)
    progress.finish(first, State.DONE, 100.0)
    assert progress.seconds_left() == pytest.approx(150.0)
    for key in rest[:-1]:
        progress.finish(key, State.DONE, 100.0)
    assert progress.seconds_left() == pytest.approx(100.0)


def test_failed_runs_count_as_over_in_the_progress(progress):
    for key in keys(progress):
        progress.finish(key, State.FAILED, 1.0)
    assert progress.fraction == 1.0
    assert progress.seconds_left() == 0.0
    assert progress.count(State.FAILED) == 4
