"""Commands that need no neural network import none of its libraries."""

import subprocess
import sys

import pytest

HEAVY = {'torch', 'mmseg', 'mmcv', 'mmengine', 'open_clip', 'matplotlib', 'pandas'}
_RUN = f"""
import sys
from mcdrl_lab.commands import main
try:
    code = main(sys.argv[1:])
except SystemExit as ended:
    code = ended.code
assert code in (0, 1), code
sys.exit(' '.join(sorted({HEAVY!r} & set(sys.modules))) or 0)
"""


@pytest.fixture
def heavy_modules(tmp_path):
    """Runs a command in a process of its own; gives the heavy modules it imported."""

    def run(*words, workers=''):
        done = subprocess.run(
            [sys.executable, '-c', _RUN, *map(str, words)],
            capture_output=True,
            text=True,
            env={'MCDRL_CACHE_DIR': str(tmp_path / 'cache'), 'PYTHONPATH': _paths()},
        )
        return done.stderr.strip()

    return run


def _paths() -> str:
    return ':'.join(sys.path)


@pytest.mark.parametrize('command', ['convert', 'verify', 'simulate', 'pretrain'])
def test_the_help_imports_no_heavy_library(heavy_modules, command):
    assert heavy_modules(command, '--help') == ''


def test_the_check_finds_a_heavy_library_that_is_imported(heavy_modules, tmp_path):
    (tmp_path / 'config.py').write_text('train_dataloader = dict(dataset=dict())')
    assert 'torch' in heavy_modules('verify', tmp_path / 'config.py', '--fast')


def test_a_conversion_imports_no_heavy_library(
    heavy_modules, three_pairs, download, out
):
    words = ('folder', download, '--site', 'clinic', '--out', out)
    assert heavy_modules('convert', *words) == ''
    assert (out / 'clinic/images/a.jpg').is_file()


def test_simulation_and_verification_import_no_heavy_library(heavy_modules, tmp_path):
    # 160 files: enough for two processes that read.
    words = (tmp_path / 'endosim', '--images-per-site', 16, '--size', 32)
    assert heavy_modules('simulate', *words) == ''
    assert heavy_modules('verify', tmp_path / 'endosim', '--jobs', 2) == ''
