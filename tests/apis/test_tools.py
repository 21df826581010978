"""tools/predict.py, explain.py and export.py before they run anything."""

import runpy
import subprocess
import sys

import pytest

from mcdrl_mmseg.apis.export.formats import FORMATS
from mcdrl_mmseg.apis.outputs import OUTPUTS

SHOW_LOADED = """
import runpy, sys
sys.argv = [sys.argv[1], '--help']
try:
    runpy.run_path(sys.argv[0], run_name='__main__')
finally:
    print('LOADED', *sys.modules)
"""
HEAVY = {'cv2', 'mcdrl_mmseg', 'mmengine', 'mmseg', 'numpy', 'torch'}


@pytest.mark.parametrize('name', ['predict', 'explain', 'export'])
def test_help_loads_nothing_that_takes_long(name, repo_root):
    tool = repo_root / 'tools' / f'{name}.py'
    run = subprocess.run(
        [sys.executable, '-c', SHOW_LOADED, tool], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert f'Example: python tools/{name}.py' in run.stdout
    assert HEAVY.isdisjoint(run.stdout.rpartition('LOADED ')[2].split())


def test_choices_are_all_outputs_and_formats_that_there_are(repo_root):
    predict = runpy.run_path(str(repo_root / 'tools/predict.py'))
    export = runpy.run_path(str(repo_root / 'tools/export.py'))
    assert predict['OUTPUTS'] == tuple(OUTPUTS)
    assert export['FORMATS'] == tuple(FORMATS)
