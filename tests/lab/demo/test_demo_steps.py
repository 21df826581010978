import os
import sys
import types

import pytest

from mcdrl_lab import commands
from mcdrl_lab.demo import demo_steps
from mcdrl_lab.demo.demo_steps import DemoError, find_config, run_command, run_training
from mcdrl_lab.plans.launch import Launch


@pytest.fixture
def command(monkeypatch):
    """A command ``show`` whose ``run`` can be set."""
    module = types.ModuleType('show_command', 'Shows.')
    module.add_arguments = lambda parser: parser.add_argument('text')
    monkeypatch.setitem(sys.modules, 'show_command', module)
    known = commands.Command('show_command', 'shows')
    monkeypatch.setitem(commands.COMMANDS, 'show', known)
    return module


def test_a_step_is_shown_as_it_can_be_typed(command, monkeypatch, capsys):
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


def test_a_training_has_a_process_of_its_own(tmp_path, monkeypatch, capfd):
    (tmp_path / 'own_training.py').write_text(
        'import os\ndef train_main(argv):\n'
        f'    with open({str(tmp_path / "said")!r}, "w") as file:\n'
        '        print(os.getpid(), argv, file=file, end="")\n'
        'def test_main(argv):\n    return 4\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    launch = Launch(module='own_training', preload=())
    monkeypatch.setattr(demo_steps, 'Launch', lambda: launch)
    run_training('train', ['c.py'], {})
    assert capfd.readouterr().out == '$ python -m own_training train c.py\n'
    pid, _, argv = (tmp_path / 'said').read_text().partition(' ')
    assert int(pid) != os.getpid()
    assert argv == "['c.py', '--launcher', 'none']"
    with pytest.raises(DemoError, match='test failed with exit code 4'):
        run_training('test', ['c.py'], {})


def test_configs_are_found_in_the_repository_and_shown_relative(repo_root, monkeypatch):
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
