import os
import sys
import types

import pytest

from mcdrl_lab import commands
from mcdrl_lab.demo import demo_steps
from mcdrl_lab.demo.demo_steps import DemoError, find_config, run_command


@pytest.fixture
def command(monkeypatch):
    """A command ``show`` whose ``run`` can be set."""
    module = types.ModuleType('show_command', 'Shows.')
    module.add_arguments = lambda parser: parser.add_argument('text')
    monkeypatch.setitem(sys.modules, 'show_command', module)
    known = commands.Command('show_command', 'shows')
    monkeypatch.setitem(commands.COMMANDS, 'show', known)
    return module


def test_a_step_is_printed_as_a_shell_command_and_run_with_its_variables(
    command, monkeypatch, capsys
):
    monkeypatch.setenv('MCDRL_EMPTY', '')

    def run(args):
        print(args.text, os.environ['WHERE'], 'MCDRL_EMPTY' in os.environ)

    command.run = run
    run_command(['show', 'two words'], {'WHERE': 'a b'})
    shown, printed = capsys.readouterr().out.splitlines()
    assert shown == "$ WHERE='a b' python -m mcdrl_lab show 'two words'"
    assert printed == 'two words a b False'
    assert 'WHERE' not in os.environ


def test_a_failed_step_is_named_with_its_exit_code(command):
    command.run = lambda args: 3
    with pytest.raises(DemoError, match='show failed with exit code 3'):
        run_command(['show', 'x'], {})


def test_configs_are_found_in_the_repository_with_a_relative_path_inside_it(
    repo_root, monkeypatch
):
    name = 'mixing/own_segformer.py'
    monkeypatch.chdir(repo_root)
    assert find_config(name) == f'configs/{name}'
    monkeypatch.chdir('/')
    assert find_config(name).endswith(f'/configs/{name}')


def test_configs_are_found_in_an_installed_wheel(tmp_path, monkeypatch):
    package = tmp_path / 'mcdrl_mmseg'
    config = package / '.mim/configs/mixing/own_segformer.py'
    config.parent.mkdir(parents=True)
    config.touch()
    spec = types.SimpleNamespace(origin=str(package / '__init__.py'))
    monkeypatch.setattr(demo_steps, 'find_spec', lambda name: spec)
    assert find_config('mixing/own_segformer.py') == str(config)
