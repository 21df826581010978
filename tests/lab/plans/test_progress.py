import io

import pytest
from rich.console import Console

from mcdrl_lab.plans.plan import Method, PlanProgress, State, build_plan
from mcdrl_lab.plans.progress import Reporter, status_line


@pytest.fixture
def plan(tmp_path):
    config = tmp_path / 'c.py'
    config.write_text('')
    return build_plan([Method('a', str(config))], ['s1', 's2'], [0, 1])


def test_the_status_line_shows_finished_and_failed_runs_and_the_time_left(plan):
    progress = PlanProgress(plan)
    assert status_line(progress) == '0/4 runs done, 0 %, time left unknown'
    progress.finish(plan[0].key, State.DONE, 90.0)
    assert status_line(progress) == '1/4 runs done, 25 %, time left 0:04:30'
    progress.finish(plan[1].key, State.FAILED, 9.0)
    assert status_line(progress) == '1/4 runs done, 1 failed, 50 %, time left 0:03:00'


def test_without_a_terminal_lines_are_printed_at_events_and_at_intervals(
    plan, monkeypatch
):
    stream = io.StringIO()
    reporter = Reporter(PlanProgress(plan), Console(file=stream, width=20))
    reporter.tick()
    reporter.event(plan[0], 'started')
    reporter.tick()
    # Lines are not wrapped: a log is not a terminal.
    assert stream.getvalue().splitlines() == [
        '[0/4 runs done, 0 %, time left unknown]',
        '[0/4 runs done, 0 %, time left unknown] a/s1/seed0: started',
    ]
    monkeypatch.setattr('mcdrl_lab.plans.progress.LINE_INTERVAL_S', 0.0)
    reporter.close()
    assert len(stream.getvalue().splitlines()) == 3


def test_a_terminal_shows_the_plan_and_the_running_runs(plan):
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    progress = PlanProgress(plan)
    reporter = Reporter(progress, console)
    progress.start(plan[1].key, 0.4)
    reporter.tick()
    reporter.event(plan[1], 'started')
    progress.finish(plan[1].key, State.DONE, 60.0)
    reporter.close()
    text = console.file.getvalue()
    assert 'a s2 0' in text
    assert '40 %' in text
    assert 'a/s2/seed0: started' in text
    assert '1/4 runs done' in text
