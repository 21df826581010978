"""The table of speed goals, from commands whose costs are set here."""

import json
import sys
from pathlib import Path

import pytest

from mcdrl_lab.__main__ import main
from mcdrl_lab.benchmarks import speed_goals
from mcdrl_lab.benchmarks.command_cost import Cost
from mcdrl_lab.benchmarks.speed_goals import Row, SpeedGoals, table
from mcdrl_lab.errors import ProtocolError

WALL = dict(simulated_before=200, simulated_now=80, simulated_again=60)
WALL |= dict(real_before=70, real_now=42, real_again=35)


@pytest.mark.parametrize(
    ('row', 'ratio', 'met'),
    [
        (Row('plan', 's', 200, 80, 0.4), 0.4, True),
        (Row('plan', 's', 200, 80.1, 0.4), 0.4005, False),
        (Row('step', 'images/s', 20, 17, 0.85, at_least=True), 0.85, True),
        (Row('step', 'images/s', 20, 16.9, 0.85, at_least=True), 0.845, False),
    ],
)
def test_a_goal_is_judged_by_the_unrounded_ratio(row, ratio, met):
    assert row.ratio == pytest.approx(ratio)
    assert row.met is met


def test_a_table_shows_figures_ratio_goal_and_outcome():
    rows = [
        Row('plan', 's', 200, 81, 0.4),
        Row('step', 'images/s', 17.3, 14.9, 0.85, at_least=True),
    ]
    assert table(rows).splitlines()[2:] == [
        '| plan | 200.0 s | 81.0 s | 0.41 | 0.4 | **missed** |',
        '| step | 17.3 images/s | 14.9 images/s | 0.86 | at least 0.85 | met |',
    ]


class Commands:
    """Records commands, and writes the files that they would write."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.calls: list[tuple[list[str], Path, dict]] = []
        self.codes: dict[str, int] = {}

    def __call__(self, command: list[str], folder: Path, environment: dict) -> Cost:
        words = command
        if command[0] == sys.executable:
            assert environment['PYTHONPATH'] == str(folder)
            words = command[3:] if command[2] == 'mcdrl_lab' else command[1:]
        self.calls.append((words, folder, environment))
        name = Path(words[words.index('--out') + 1]).name if '--out' in words else ''
        if words[0] == 'plain-loop':
            self.write('plain_loop.json', dict(plain=20.0, trainer=19.0))
        elif words[0] == 'benchmark':
            medians = [dict(milliseconds=dict(median=ms)) for ms in (13.2, 12, 10)]
            self.write('inference/benchmark.json', dict(results=[medians]))
        elif words[0] == 'compare-exported':
            rows = [dict(milliseconds=20.0), dict(milliseconds=10.0)]
            self.write('exported.json', dict(rows=rows))
        elif name == 'real_now':
            self.write('real_now/full/polypgen_c1/seed0/best_mDice_epoch_8.pth', {})
        before = folder.name == 'before'
        peak = 1000 if before else 700
        wall = WALL.get(name, 1000 if before else 650)
        code = self.codes.get(' '.join(words[:2]), self.codes.get(words[0], 0))
        return Cost(wall, 2 * wall, peak, peak / 2, code)

    def write(self, name: str, content: dict) -> None:
        path = self.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))


@pytest.fixture
def commands(tmp_path, monkeypatch) -> Commands:
    found = Commands(tmp_path / 'out')
    monkeypatch.setattr(speed_goals, 'measure_command', found)
    return found


def goals(tmp_path: Path, **kwargs) -> SpeedGoals:
    (tmp_path / 'out').mkdir(exist_ok=True)
    trees = tmp_path / 'before', tmp_path / 'now'
    return SpeedGoals(*trees, tmp_path / 'data', tmp_path / 'out', **kwargs)


def test_every_goal_has_a_row_that_is_written_and_printed(tmp_path, commands):
    lines = []
    rows = goals(tmp_path, with_tests=True).measure(lines.append)
    found = [(row.unit, round(row.ratio, 3), row.goal, row.met) for row in rows]
    assert found == [
        ('s', 0.4, 0.4, True),
        ('s', 0.3, 0.4, True),
        ('MB', 0.7, 0.8, True),
        ('s', 0.6, 0.5, False),
        ('s', 0.5, 0.5, True),
        ('MB', 0.7, 0.8, True),
        ('images/s', 0.95, 0.85, True),
        ('ms', 1.1, 1.1, True),
        ('ms', 1.32, 1.1, False),
        ('ms', 0.5, 0.8, True),
        ('s', 0.65, 0.7, True),
        ('MB', 0.7, 0.4, False),
    ]
    assert (tmp_path / 'out/speed_goals.md').read_text() == table(rows) + '\n'
    kept = json.loads((tmp_path / 'out/speed_goals.json').read_text())
    assert [each['figure'] for each in kept] == [row.figure for row in rows]
    assert lines == table(rows).splitlines()[2:]


def test_both_commits_run_the_same_plan_and_the_present_one_caches_features(
    tmp_path, commands
):
    goals(tmp_path).measure(lambda line: None)
    plans = [call for call in commands.calls if call[0][0] == 'leave-one-site-out']
    assert [folder.name for _, folder, _ in plans] == ['before', 'now', 'now'] * 2
    for before, *present in (plans[:3], plans[3:]):
        own = before[0][: before[0].index('--out')]
        for words, *_ in present:
            assert words[: len(own)] == own
            assert words[len(own)] == '--feature-cache'
        outs = [words[words.index('--out') + 1] for words, *_ in (before, *present)]
        assert len(set(outs)) == 3
    simulated = {environment.get('MCDRL_ENDOSIM_ROOT') for *_, environment in plans[:3]}
    assert simulated == {str(tmp_path / 'out/endosim')}
    assert commands.calls[0][0][:2] == ['simulate', str(tmp_path / 'out/endosim')]
    assert {environment['MCDRL_DATA_ROOT'] for *_, environment in plans} == {
        str(tmp_path / 'data')
    }


def test_a_failed_command_is_named_and_the_rows_measured_so_far_are_kept(
    tmp_path, commands
):
    commands.codes['plain-loop'] = 2
    with pytest.raises(
        ProtocolError, match=r'plain-loop .* ended with code 2 in .*now'
    ):
        goals(tmp_path).measure(lambda line: None)
    assert len(json.loads((tmp_path / 'out/speed_goals.json').read_text())) == 6


def test_each_commit_is_tested_in_its_own_environment(tmp_path, commands, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', 'elsewhere')
    goals(tmp_path, with_tests=True).measure(lambda line: None)
    makes = [call for call in commands.calls if call[0][0] == 'make']
    assert [(words[1], folder.name) for words, folder, _ in makes] == [
        ('install', 'before'),
        ('test', 'before'),
        ('install', 'now'),
        ('test', 'now'),
    ]
    for words, _, environment in makes:
        assert 'PYTHONPATH' not in environment
        assert environment['OMP_NUM_THREADS'] == '1'
        assert words[1] == 'install' or '-n 2 ' in words[2]


def test_failed_tests_stop_the_measurement_only_for_the_present_commit(
    tmp_path, commands
):
    commands.codes['make test'] = 1
    with pytest.raises(ProtocolError, match=r'make test .* code 1 in .*now'):
        goals(tmp_path, with_tests=True).measure(lambda line: None)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nowhere', '--data', '.', '--out', 'new'], 'nowhere has no configs'),
        (['ROOT', '--data', 'nowhere', '--out', 'new'], '--data nowhere: no such'),
        (['ROOT', '--data', '.', '--out', '.'], '--out . exists'),
    ],
)
def test_unusable_input_ends_with_a_one_line_error(arguments, message, capsys):
    root = str(Path(speed_goals.__file__).parents[2])
    arguments = [root if each == 'ROOT' else each for each in arguments]
    assert main(['speed-goals', *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
