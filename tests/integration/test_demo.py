"""The demo as a new user starts it, on a handful of images."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from forked_program import Ended, run_forked

_ROOT = Path(__file__).resolve().parents[2]


def start(folder, fresh=True):
    """Run the demo; unless fresh as a fork, which does not import everything again."""
    few = ('--images-per-site', '12', '--seeds', '1')
    # No setting of this machine may be needed.
    environment = {k: v for k, v in os.environ.items() if not k.startswith('MCDRL_')}
    # Like a variable that a user has emptied in the shell.
    environment['MCDRL_DATA_ROOT'] = ''
    words = ['-m', 'mcdrl_lab', 'demo', '--work-dir', folder, *few]
    if not fresh:
        log = folder.parent / 'fork.log'
        return run_forked(words, folder=_ROOT, log=log, environment=environment)
    done = subprocess.run(
        [sys.executable, *words],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        timeout=600,
        check=False,
    )
    return Ended(done.returncode, done.stdout)


@pytest.fixture(scope='module')
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp('demo') / 'out'
    run = start(folder)
    assert run.returncode == 0, run.output[-5000:]
    return folder, run.output


def test_both_methods_are_tested_on_the_held_out_site_and_compared(demo):
    folder, output = demo
    rows = (folder / 'runs/table_dice.md').read_text().splitlines()
    assert {'baseline', 'mcdrl'} <= {row.strip('| ').split(' ')[0] for row in rows}
    after = output.partition('=== 3/4')[2].partition('=== 4/4')[0]
    assert 'mcdrl' in after and re.search(r'[+-]\d+\.\d', after)
    assert output.rstrip().splitlines()[-1].startswith('Took ')


def test_report_explains_its_cases(demo):
    folder, _ = demo
    text = (folder / 'report.html').read_text()
    assert 'No picture of' not in text
    assert text.count('How the prediction of the') >= 1


def test_a_second_start_repeats_no_training(demo):
    folder, _ = demo
    checkpoints = sorted((folder / 'runs').rglob('best_*.pth'))
    times = [path.stat().st_mtime_ns for path in checkpoints]
    assert len(checkpoints) == 2
    run = start(folder, fresh=False)
    assert run.returncode == 0, run.output[-5000:]
    assert sorted((folder / 'runs').rglob('best_*.pth')) == checkpoints
    assert [path.stat().st_mtime_ns for path in checkpoints] == times
