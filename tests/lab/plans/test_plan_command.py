import subprocess
import sys
from pathlib import Path

import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans import plan_command as commands
from mcdrl_lab.plans.records import append_record

TOOLS = Path(__file__).resolve().parents[3] / 'tools'


def test_a_method_is_named_by_the_user_or_by_its_file(tmp_path):
    config = tmp_path / 'net_5e_sites_heldout-polypgen-c1.py'
    config.write_text('')
    assert commands.parse_method(str(config)).name == 'net_5e_sites'
    named = commands.parse_method(f'mine={config}')
    assert (named.name, named.config) == ('mine', str(config))
    with pytest.raises(ProtocolError, match='no config file'):
        commands.parse_method('mine=none.py')


@pytest.mark.parametrize(
    ('outcome', 'code', 'words'),
    [
        (lambda: 0, 0, ''),
        (lambda: 1, 1, ''),
        (
            lambda: (_ for _ in ()).throw(ProtocolError('wrong key')),
            2,
            'error: wrong key',
        ),
        (lambda: (_ for _ in ()).throw(KeyboardInterrupt), 130, 'goes on from here'),
    ],
)
def test_exit_codes_and_one_line_errors(outcome, code, words, capsys, monkeypatch):
    monkeypatch.setattr(commands.signal, 'signal', lambda *_: None)
    with pytest.raises(SystemExit) as end:
        commands.run_tool(outcome)
    assert end.value.code == code
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) <= 1


def run(tool, *arguments):
    return subprocess.run(
        [sys.executable, TOOLS / f'{tool}.py', *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize('tool', ['leave_one_site_out', 'ablation', 'compare'])
def test_help_shows_an_example(tool):
    result = run(tool, '--help')
    assert result.returncode == 0
    assert f'Example: python tools/{tool}.py' in result.stdout


def test_compare_tells_differences_and_refuses_unlike_runs(
    tmp_path, two_methods, make_record
):
    path = tmp_path / 'records.jsonl'
    for record in two_methods:
        append_record(path, record)
    result = run('compare', path, 'a', 'b', '--out', tmp_path / 'out')
    assert result.returncode == 0, result.stderr
    assert '| mean over these sites | 50.0 | 45.0 |' in result.stdout
    assert (tmp_path / 'out/compare_a_dice.csv').is_file()
    append_record(path, make_record('c', 's1', 0, [0.5], data_hash='e' * 64))
    result = run('compare', path, 'a', 'c')
    assert result.returncode == 2
    assert 'differ in data' in result.stderr
    assert 'Traceback' not in result.stderr
