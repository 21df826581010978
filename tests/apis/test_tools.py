"""The start of tools/*.py, before they run anything."""

import runpy
import subprocess
import sys

import pytest

from mcdrl_mmseg.apis import training
from mcdrl_mmseg.apis.export.formats import FORMATS
from mcdrl_mmseg.apis.outputs.plain_outputs import OUTPUTS

SHOW_LOADED = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name='__main__')
finally:
    print('LOADED', *sys.modules)
"""
# The required arguments of each tool.
TOOLS = {
    'train': ['config.py'],
    'test': ['config.py', 'best.pth'],
    'predict': ['best.pth', 'image.png', '--out', 'out'],
    'explain': ['best.pth', 'image.png', '--out', 'out'],
    'export': ['best.pth', '--out', 'out'],
}
HEAVY = {'cv2', 'mcdrl_mmseg', 'mmengine', 'mmseg', 'numpy', 'torch'}


@pytest.fixture
def start(repo_root):
    """Starts a tool: its exit code, its output, and the heavy modules it loaded."""

    def run(name, *arguments):
        tool = repo_root / 'tools' / f'{name}.py'
        done = subprocess.run(
            [sys.executable, '-c', SHOW_LOADED, tool, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        output, _, loaded = done.stdout.rpartition('LOADED ')
        return done.returncode, output, HEAVY & set(loaded.split())

    return run


@pytest.mark.parametrize('name', TOOLS)
def test_help_imports_no_slow_modules(name, start):
    code, output, heavy = start(name, '--help')
    assert code == 0, output
    assert f'Example: python tools/{name}.py' in output
    assert heavy == set()


@pytest.mark.parametrize('name', TOOLS)
def test_a_wrong_option_is_refused_before_slow_imports(name, start):
    code, output, heavy = start(name, *TOOLS[name], '--colour', 'red')
    assert code == 2
    assert 'unrecognized arguments: --colour red' in output
    assert heavy == set()


@pytest.mark.parametrize('name', ['train', 'test'])
def test_an_option_without_a_value_is_refused_before_slow_imports(name, start):
    code, output, heavy = start(name, *TOOLS[name], '--cfg-options', 'max_epochs')
    assert code == 2
    assert "'max_epochs' has no value: expected KEY=VALUE" in output
    assert heavy == set()


def test_choices_of_the_tools_are_all_existing_outputs_and_formats(repo_root):
    predict = runpy.run_path(str(repo_root / 'tools/predict.py'))
    export = runpy.run_path(str(repo_root / 'tools/export.py'))
    assert predict['OUTPUTS'] == tuple(OUTPUTS)
    assert export['FORMATS'] == tuple(FORMATS)


def test_a_stopped_training_prints_how_to_resume(repo_root, monkeypatch, capsys):
    def stop():
        raise KeyboardInterrupt

    monkeypatch.setattr(training, 'train_main', stop)
    monkeypatch.setattr('sys.argv', ['train.py', 'config.py'])
    tool = runpy.run_path(str(repo_root / 'tools/train.py'))
    assert tool['main']() == 130
    said = capsys.readouterr().err
    assert said.startswith('train: stopped') and '--resume' in said
    assert 'Traceback' not in said
