import io
import logging
import os
import re
import subprocess
import sys

import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger
from rich.console import Console
from shared_imports import run_after

from mcdrl_mmseg.apis import console
from mcdrl_mmseg.apis.console import (
    ToolMCDRLRunner,
    ToolRunner,
    print_training_start,
    progress_bar,
)
from mcdrl_mmseg.apis.run_setup import build_runner


def test_first_lines_describe_the_training_and_name_its_folder(capsys):
    print_training_start(
        Config(
            dict(
                train_cfg=dict(max_epochs=12),
                train_dataloader=dict(batch_size=4),
                held_out_site='north',
                work_dir='work/mcdrl',
            )
        )
    )
    assert capsys.readouterr().out.splitlines() == [
        'Training a config: 12 epochs, batches of 4, north held out.',
        'Checkpoints and logs: work/mcdrl',
        'Environment, whole config and hooks: the .log file there.',
    ]


@pytest.mark.parametrize('runner', [ToolRunner, ToolMCDRLRunner])
def test_long_log_entries_go_only_to_the_log_file(tmp_path, monkeypatch, runner):
    shown = io.StringIO()
    monkeypatch.setattr(sys, 'stdout', shown)
    monkeypatch.setattr(
        console.Runner,
        'build_logger',
        lambda self: MMLogger('long dumps', log_file=str(tmp_path / 'run.log')),
    )
    logger = runner.__new__(runner).build_logger()
    dumps = [
        '\n' + '-' * 60 + '\nSystem environment:\n python',
        'Config:\nmodel = 1',
        'Hooks will be executed in the following order:\n...',
        'paramwise_options -- layer.weight:lr=1',
        'Distributed training is not used, all SyncBatchNorm (SyncBN) layers',
        'backbone.conv1.weight is skipped since its requires_grad=False',
    ]
    for text in [*dumps, 'Epoch(train) [1][1/2] loss: 1.0']:
        logger.info(text)
    assert shown.getvalue().count('\n') == 1
    assert 'Epoch(train) [1][1/2] loss: 1.0' in shown.getvalue()
    kept = (tmp_path / 'run.log').read_text()
    assert all(text in kept for text in dumps)


class _Runner:
    """As much of a runner as the bar needs; ``train`` runs up to step four."""

    max_iters, iter = 4, 1  # resumed after the first step

    def __init__(self):
        self.hooks = []
        self.logger = logging.Logger('steps')
        self.logger.addHandler(logging.StreamHandler(sys.stdout))

    def register_hook(self, hook, priority):
        self.hooks.append(hook)

    def train(self):
        for hook in self.hooks:
            hook.before_train(self)
            while self.iter < self.max_iters:
                self.logger.info('step %d', self.iter)
                hook.after_train_iter(self, 0, None, {'loss': 0.5})
                self.iter += 1
            hook.after_val_epoch(self, {'mDice_fg': 0.8125})


def test_a_terminal_shows_a_progress_bar_with_loss_and_score():
    shown = io.StringIO()
    terminal = Console(file=shown, force_terminal=True, width=100)
    runner = _Runner()
    with progress_bar(runner, terminal):
        runner.train()
    text = re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', shown.getvalue())
    assert '4/4' in text
    assert 'loss 0.500, Dice 81.2 %' in text
    # Lines of the log are shown above the bar, each once.
    assert [text.count(f'step {n}') for n in (1, 2, 3)] == [1, 1, 1]


def test_output_to_a_pipe_has_no_progress_bar():
    runner = _Runner()
    with progress_bar(runner, Console(file=io.StringIO(), force_terminal=False)):
        assert runner.hooks == []


@pytest.mark.parametrize('tool', ['predict', 'explain'])
def test_a_tool_prints_only_its_own_one_line_error(repo_root, tmp_path, tool):
    done = subprocess.run(
        [
            sys.executable,
            repo_root / f'tools/{tool}.py',
            'gone.pth',
            'image.jpg',
            '--out',
            tmp_path / 'out',
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert done.stdout == ''
    assert done.stderr == f"{tool}: checkpoint 'gone.pth' is not a file.\n"


_READ_A_CONFIG = """
import mcdrl_mmseg
from mmengine.config import Config
print(Config.fromfile('config.py').root)
"""
_STARTS = {'our tools': 'import mcdrl_common.quiet_tools', 'other programs': ''}


@pytest.fixture(scope='module')
def read_a_config(tmp_path_factory) -> dict[str, tuple[int, str]]:
    """Exit code and output of programs that read a config with a variable."""
    folder = tmp_path_factory.mktemp('config')
    (folder / 'config.py').write_text("root = '{{$MCDRL_DATA_ROOT:data}}'\n")
    environment = {**os.environ, 'MCDRL_DATA_ROOT': '/some/where'}
    environment.pop('MCDRL_QUIET', None)  # inherited where a tool runs the tests
    programs = {name: start + _READ_A_CONFIG for name, start in _STARTS.items()}
    return run_after('import torch', programs, cwd=folder, env=environment)


@pytest.mark.parametrize(
    ('start', 'said'), [('our tools', False), ('other programs', True)]
)
def test_environment_variables_in_configs_are_logged_only_outside_our_tools(
    read_a_config, start, said
):
    code, output = read_a_config[start]
    assert code == 0, output
    assert '/some/where' in output.splitlines()
    assert ('Using env variable `MCDRL_DATA_ROOT`' in output) == said


def test_a_config_with_runner_type_mcdrl_runner_uses_the_runner_of_the_tools(
    monkeypatch,
):
    built = []
    monkeypatch.setattr(ToolMCDRLRunner, 'from_cfg', built.append)
    cfg = Config(dict(runner_type='MCDRLRunner', launcher='none', work_dir='w'))
    build_runner(cfg)
    assert built == [cfg]
