"""Commands that only read records and logs load no torch in a whole run."""

import json
import subprocess
import sys

import pytest

from mcdrl_lab.commands import main
from mcdrl_lab.plans.records import append_record

RUN = """
import sys
from mcdrl_lab.commands import main
code = main(sys.argv[1:])
assert not code, code
print('LOADED', *sorted({name.partition('.')[0] for name in sys.modules}))
"""


@pytest.fixture
def plan(two_methods, tmp_path):
    """The folder of a plan: records, and the log of one run."""
    for record in two_methods:
        append_record(tmp_path / 'records.jsonl', record)
    log = tmp_path / 'a/s1/seed0/20260101_000000/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    rows = [
        {'loss': 0.5, 'lr': 0.1, 'epoch': 1, 'iter': 9},
        {'mDice_fg': 0.6, 'step': 1},
    ]
    log.write_text(''.join(f'{json.dumps(row)}\n' for row in rows))
    return tmp_path


@pytest.mark.parametrize(
    'command',
    [
        'compare {plan} a b --out {plan}/compared',
        'report {plan}',
        'plot-run {plan}/a/s1/seed0',
        'evidence keep {plan} --out {plan}/kept.jsonl.gz',
    ],
    ids=lambda command: command.split()[0],
)
def test_commands_on_records_alone_load_no_deep_learning_library(
    command, plan, repo_root
):
    run = subprocess.run(
        [sys.executable, '-c', RUN, *command.format(plan=plan).split()],
        cwd=repo_root,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    loaded = set(run.stdout.rpartition('LOADED ')[2].split())
    assert (
        loaded & {'torch', 'mmseg', 'mmengine', 'mcdrl_mmseg', 'statsmodels'} == set()
    )


def test_the_report_shows_the_command_that_made_it(plan, monkeypatch):
    arguments = ['report', str(plan)]
    monkeypatch.setattr(sys, 'argv', ['python', *arguments])
    assert main(arguments) == 0
    page = (plan / 'report.html').read_text()
    assert f'python -m mcdrl_lab report {plan}' in page
