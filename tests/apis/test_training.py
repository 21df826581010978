import argparse
import os

import pytest
import torch
from mmseg.models import SegDataPreProcessor
from mmseg.models.decode_heads import SegformerHead, decode_head

from mcdrl_common.file_lock import folder_lock
from mcdrl_common.mask_format import MaskError
from mcdrl_common.sites import SiteDataError
from mcdrl_common.training_arguments import add_run_arguments
from mcdrl_mmseg.apis import training
from mcdrl_mmseg.apis.testing import NoteHook, TrainedOnHook
from mcdrl_mmseg.apis.training import parse_run_arguments
from mcdrl_mmseg.clip import CLIPWeightsError
from mcdrl_mmseg.clip.sentence_encoder import SentenceEncoderError
from mcdrl_mmseg.engine import training_lock
from mcdrl_mmseg.engine.config_check import ConfigCheckError
from mcdrl_mmseg.engine.hooks import (
    ConfigCheckHook,
    DatasetError,
    NonFiniteLossError,
)
from mcdrl_mmseg.engine.hooks.atomic_checkpoint_hook import NonFiniteWeightsError
from mcdrl_mmseg.engine.quick_steps.fused_adam import FusedAdamHook
from mcdrl_mmseg.models import DictionaryError
from mcdrl_mmseg.prompts import PromptError
from mcdrl_mmseg.safe_loading import CheckpointError


@pytest.fixture
def parse(monkeypatch):
    """Parses a command line and returns the arguments."""
    monkeypatch.delenv('LOCAL_RANK', raising=False)

    def run(*words):
        parser = argparse.ArgumentParser()
        add_run_arguments(parser)
        monkeypatch.setattr('sys.argv', ['tool', *words])
        return parse_run_arguments(parser)

    return run


def test_default_arguments_are_those_of_mmseg(parse):
    args = parse()
    assert vars(args) == dict(
        work_dir=None, cfg_options=None, launcher='none', local_rank=0
    )


def test_cfg_options_become_python_values(parse):
    args = parse(
        '--cfg-options', 'a.lr=0.1', 'b.names=[x,y]', 'c=None', 'd="[(1,2),(3,4)]"'
    )
    assert args.cfg_options == {
        'a.lr': 0.1,
        'b.names': ['x', 'y'],
        'c': None,
        'd': [(1, 2), (3, 4)],
    }


def test_spaces_beside_commas_and_brackets_change_no_value(parse):
    args = parse('--cfg-options', 'a=[x, y]', 'b=( (1, 2), (3, 4) )', 'c= 5 ')
    assert args.cfg_options == {'a': ['x', 'y'], 'b': ((1, 2), (3, 4)), 'c': 5}


def test_repeated_cfg_options_add_up_and_the_last_value_of_a_key_counts(parse):
    args = parse(
        '--cfg-options', 'a=1', 'b=2', '--launcher', 'none', '--cfg-options', 'b=3'
    )
    assert args.cfg_options == {'a': 1, 'b': 3}


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('max_epochs', "'max_epochs' has no value: expected KEY=VALUE"),
        ('a=[(1,2]', 'Imbalanced brackets exist in (1,2'),
        (
            "classes=['colon polyp','ulcer']",
            "\"classes=['colon polyp','ulcer']\": MMEngine drops the spaces in values",
        ),
        (
            'template=A {class} here',
            "'template=A {class} here': MMEngine drops the spaces",
        ),
        ("sites=[{'name':'a','b':[1,2]}]", '"sites=[{'),
        ("a.b=dict(type='SGD',lr=1)", '"a.b=dict('),
    ],
)
def test_an_option_that_cannot_be_read_ends_with_status_2(
    parse, capsys, option, message
):
    with pytest.raises(SystemExit) as stopped:
        parse('--cfg-options', option)
    assert stopped.value.code == 2
    assert f'argument --cfg-options: {message}' in capsys.readouterr().err


@pytest.mark.parametrize('spelling', ['--local_rank', '--local-rank'])
def test_local_rank_reaches_the_environment_in_both_spellings(
    parse, monkeypatch, spelling
):
    monkeypatch.delenv('LOCAL_RANK', raising=False)
    parse(spelling, '3')
    assert os.environ['LOCAL_RANK'] == '3'


def test_local_rank_of_the_launcher_is_kept(parse, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '1')
    parse()
    assert os.environ['LOCAL_RANK'] == '1'


def test_unknown_launcher_ends_with_status_2(parse, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse('--launcher', 'ssh')
    assert stopped.value.code == 2
    assert "'ssh'" in capsys.readouterr().err


class _Runner:
    """Records the calls of a command."""

    def __init__(self, cfg):
        self.cfg, self.called, self.hooks = cfg, [], []

    def register_hook(self, hook):
        self.hooks.append(hook)

    def train(self):
        self.called.append('train')

    def test(self):
        self.called.append('test')


@pytest.fixture
def runners(monkeypatch, tmp_path):
    """Runners that the commands built; none computes anything."""
    built = []

    def build(cfg):
        built.append(_Runner(cfg))
        return built[-1]

    monkeypatch.setattr(training, 'build_runner', build)
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'stock.py').write_text('train_cfg = dict(max_iters=3)\n')
    return built


def test_train_uses_the_options_of_the_command_line(runners):
    argv = ['train', 'stock.py', '--resume', '--cfg-options', 'train_cfg.max_iters=5']
    assert training.main(argv) == 0
    (runner,) = runners
    assert runner.called == ['train']
    assert (runner.cfg.resume, runner.cfg.train_cfg.max_iters) == (True, 5)
    assert runner.cfg.work_dir == os.path.join('work_dirs', 'stock')


def test_training_replaces_slow_functions_of_mmseg_only_while_it_runs(
    runners, monkeypatch
):
    stock, found = stock_parts(), []
    monkeypatch.setattr(_Runner, 'train', lambda self: found.append(stock_parts()))
    assert training.main(['train', 'stock.py']) == 0
    assert not set(found[0]) & set(stock)
    assert stock_parts() == stock
    assert any(isinstance(hook, FusedAdamHook) for hook in runners[0].hooks)


def stock_parts() -> list:
    """The functions of mmseg that a training step calls."""
    return [
        decode_head.accuracy,
        decode_head.resize,
        SegDataPreProcessor.forward,
        SegformerHead.forward,
    ]


def test_test_loads_the_checkpoint_that_is_named(runners):
    assert training.main(['test', 'stock.py', 'best.pth', '--work-dir', 'out']) == 0
    (runner,) = runners
    assert runner.called == ['test']
    assert (runner.cfg.load_from, runner.cfg.work_dir) == ('best.pth', 'out')


def test_every_test_checks_the_weights_and_training_sites_of_its_checkpoint(runners):
    # The config is another project's, without hooks of this package.
    assert training.main(['test', 'stock.py', 'best.pth']) == 0
    (runner,) = runners
    assert [type(hook) for hook in runner.hooks] == [ConfigCheckHook, TrainedOnHook]


def test_views_of_another_size_add_a_hook_that_logs_a_note(runners, monkeypatch):
    for note in (None, 'other views'):
        monkeypatch.setattr(training, 'use_tta', lambda cfg, note=note: note)
        assert training.main(['test', 'stock.py', 'best.pth', '--tta']) == 0
    without, told = ([type(hook) for hook in runner.hooks] for runner in runners)
    assert without == [ConfigCheckHook, TrainedOnHook]
    assert told == [ConfigCheckHook, TrainedOnHook, NoteHook]


def test_the_check_hook_skips_a_config_that_the_tool_has_checked(runners, monkeypatch):
    def build(cfg):
        runners.append(_Runner(cfg))
        runners[-1].hooks = [TrainedOnHook(cfg), ConfigCheckHook()]
        return runners[-1]

    monkeypatch.setattr(training, 'build_runner', build)
    assert training.main(['train', 'stock.py', '--work-dir', 'out']) == 0
    assert runners[0].hooks[1].checked


def test_unknown_command_ends_with_status_2(capsys):
    with pytest.raises(SystemExit) as stopped:
        training.main(['tune', 'stock.py'])
    assert stopped.value.code == 2
    assert "'tune'" in capsys.readouterr().err


@pytest.fixture
def trained(monkeypatch):
    """Counts trainings that begin, instead of training."""
    begun = []

    class Runner:
        hooks = ()

        def register_hook(self, hook):
            pass

        def train(self):
            begun.append(1)

    monkeypatch.setattr(training, 'insert_and_check', lambda cfg: cfg)
    monkeypatch.setattr(training, 'build_runner', lambda cfg: Runner())
    monkeypatch.setattr(training_lock, 'WAIT_S', 0.1)
    for name in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'):
        monkeypatch.delenv(name, raising=False)
    return begun


@pytest.mark.reliability('fault', 'two trainings in one work folder')
def test_two_trainings_do_not_share_a_work_folder(
    tmp_path, trained, monkeypatch, capsys
):
    config = tmp_path / 'config.py'
    config.write_text('a = 1\n')
    arguments = [str(config), '--work-dir', str(tmp_path / 'run')]
    with folder_lock(tmp_path / 'run', '.training-lock'):
        assert training.train_main(arguments) == 2
        assert 'run is being worked on by process' in capsys.readouterr().err
        assert trained == []
        # The other processes of one training belong to the first.
        monkeypatch.setenv('RANK', '1')
        assert training.train_main(arguments) == 0
    monkeypatch.setenv('RANK', '0')
    assert training.train_main(arguments) == 0
    assert len(trained) == 2


@pytest.mark.reliability('fault', 'a training in the work folder of an earlier one')
@pytest.mark.parametrize(
    'name', ['epoch_10.pth', 'iter_2000.pth', 'best_mDice_fg_epoch_10.pth']
)
def test_checkpoints_of_an_earlier_training_are_not_replaced(
    tmp_path, trained, monkeypatch, capsys, name
):
    config = tmp_path / 'config.py'
    config.write_text('a = 1\n')
    arguments = [str(config), '--work-dir', str(tmp_path / 'run')]
    (tmp_path / 'run').mkdir()
    # Other processes of the same training check this, too.
    for rank in ('0', '1'):
        monkeypatch.setenv('RANK', rank)
        (tmp_path / 'run' / name).touch()
        assert training.train_main(arguments) == 2
        told = capsys.readouterr().err
        assert f'run holds checkpoints of an earlier training ({name}), which' in told
        assert 'with --resume, choose another --work-dir, or move the' in told
        assert trained == []
        (tmp_path / 'run' / name).unlink()
    # The checkpoint that a training starts from may be in the folder.
    (tmp_path / 'run/epoch.pth').touch()
    assert training.train_main(arguments) == 0
    (tmp_path / 'run' / name).touch()
    (tmp_path / 'run/last_checkpoint').touch()
    assert training.train_main([*arguments, '--resume']) == 0
    assert len(trained) == 2


def test_checkpoints_named_by_the_config_are_not_replaced(tmp_path, trained, capsys):
    config, folder = tmp_path / 'config.py', tmp_path / 'run'
    hook = dict(type='AtomicCheckpointHook', filename_tmpl='model.{}.pth')
    config.write_text(f'default_hooks = dict(checkpoint={hook})\n')
    folder.mkdir()
    arguments = [str(config), '--work-dir', str(folder)]
    # No file that this template gives: the training may start from it.
    (folder / 'models.pth').touch()
    assert training.train_main(arguments) == 0
    (folder / 'model.12.pth').touch()
    assert training.train_main(arguments) == 2
    told = capsys.readouterr().err
    assert 'checkpoints of an earlier training (model.12.pth), which' in told
    assert len(trained) == 1


def test_resume_without_last_checkpoint_does_not_replace_checkpoints(
    tmp_path, trained, capsys
):
    """MMEngine's own hook would start anew; AtomicCheckpointHook finds them."""
    config = tmp_path / 'config.py'
    arguments = [str(config), '--work-dir', str(tmp_path / 'run'), '--resume']
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run/epoch_2.pth').touch()
    for hook, status in (('CheckpointHook', 2), ('AtomicCheckpointHook', 0)):
        config.write_text(f"default_hooks = dict(checkpoint=dict(type='{hook}'))\n")
        assert training.train_main(arguments) == status
    told = capsys.readouterr().err
    assert 'run holds checkpoints of an earlier training (epoch_2.pth), which' in told
    assert 'with --resume --cfg-options load_from=FILE' in told
    config.write_text("load_from = 'run/epoch_2.pth'\n")
    assert training.train_main(arguments) == 0
    assert len(trained) == 2


@pytest.mark.parametrize('work_dir', ['run', 'other/run'])
def test_checkpoints_of_an_earlier_training_in_out_dir_are_not_replaced(
    tmp_path, trained, capsys, work_dir
):
    """MMEngine appends the name of the work folder alone, which others may have."""
    config, folder = tmp_path / 'config.py', tmp_path / 'scratch/run'
    hook = dict(type='CheckpointHook', out_dir=str(folder.parent))
    config.write_text(f'default_hooks = dict(checkpoint={hook})\n')
    folder.mkdir(parents=True)
    (folder / 'epoch_1.pth').touch()
    arguments = [str(config), '--work-dir', str(tmp_path / work_dir)]
    assert training.train_main(arguments) == 2
    assert f'{folder} holds checkpoints of an earlier' in capsys.readouterr().err
    assert trained == []
    assert training.train_main([*arguments[:2], str(tmp_path / 'another')]) == 0


def test_a_plan_that_has_locked_the_folder_of_its_run_can_train_there(
    tmp_path, trained
):
    config = tmp_path / 'config.py'
    config.write_text('a = 1\n')
    with folder_lock(tmp_path):
        assert training.train_main([str(config), '--work-dir', str(tmp_path)]) == 0
    assert len(trained) == 1


@pytest.fixture
def failing(runners, monkeypatch):
    """Lets the next training or test end in an error."""

    def fail(error):
        def run(self):
            raise error

        monkeypatch.setattr(_Runner, 'train', run)
        monkeypatch.setattr(_Runner, 'test', run)

    return fail


KNOWN_ERRORS = (
    CheckpointError,
    CLIPWeightsError,
    ConfigCheckError,
    DatasetError,
    DictionaryError,
    FileNotFoundError,
    MaskError,
    NonFiniteLossError,
    NonFiniteWeightsError,
    PromptError,
    SentenceEncoderError,
    SiteDataError,
)
COMMANDS = (['train', 'stock.py'], ['test', 'stock.py', 'best.pth'])


@pytest.mark.reliability(
    'bad input', 'known errors of tools/train.py and tools/test.py'
)
@pytest.mark.parametrize('command', COMMANDS, ids=['train', 'test'])
@pytest.mark.parametrize('kind', KNOWN_ERRORS, ids=lambda kind: kind.__name__)
def test_a_known_error_is_shown_as_one_line_and_ends_with_status_2(
    failing, capsys, command, kind
):
    error = kind.__new__(kind)
    error.args = ('x.png: what to do.',)
    failing(error)
    assert training.main(command) == 2
    assert capsys.readouterr().err == f'{command[0]}: x.png: what to do.\n'


@pytest.mark.parametrize('command', COMMANDS, ids=['train', 'test'])
def test_an_unknown_error_keeps_its_traceback(failing, command):
    failing(KeyError('mDice'))
    with pytest.raises(KeyError, match='mDice'):
        training.main(command)


def test_an_error_of_a_data_worker_is_shown_without_its_traceback(failing, capsys):
    told = 'Original Traceback (most recent call last):\n  File "a.py", line 1\n'
    worker = f'Caught MaskError in DataLoader worker process 0.\n{told}'
    failing(MaskError(f'{worker}mcdrl.MaskError: x.png: a colour mask.\n'))
    assert training.main(['train', 'stock.py']) == 2
    assert capsys.readouterr().err == 'train: x.png: a colour mask.\n'


@pytest.mark.reliability('bad input', 'options of tools/train.py that do not fit')
@pytest.mark.parametrize(
    ('command', 'message'),
    [
        (['train', 'none.py'], "train: config 'none.py' is not a file."),
        (['train', 'broken.py'], "train: broken.py: '(' was never closed"),
        (['train', 'amp.py', '--amp'], 'amp.py: --amp needs optim_wrapper'),
        (['test', 'stock.py', 'a.pth', '--tta'], '--tta needs tta_pipeline and'),
        (['test', 'stock.py', 'a.pth', '--show-dir', 'o'], 'SegVisualizationHook'),
        (['train', 'wrong.py'], 'train_dataloader: is [1]. Expected a dict.'),
    ],
)
def test_options_and_configs_that_do_not_fit_give_an_error_without_traceback(
    runners, tmp_path, capsys, command, message
):
    (tmp_path / 'broken.py').write_text('model = dict(\n')
    (tmp_path / 'wrong.py').write_text('train_dataloader = [1]\n')
    (tmp_path / 'amp.py').write_text("optim_wrapper = dict(type='own.Wrapper')\n")
    (tmp_path / 'stock.py').write_text('default_hooks = dict()\n')
    assert training.main(command) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert 'Traceback' not in printed
    assert runners == []


class _Joining:
    """A runner that joins a group of processes, as a launcher's does."""

    def __init__(self, folder, error=None):
        self._join = f'file://{folder}/join'
        self._error = error
        self.hooks = []

    def register_hook(self, hook):
        self.hooks.append(hook)

    def run(self):
        torch.distributed.init_process_group(
            'gloo', init_method=self._join, rank=0, world_size=1
        )
        if self._error is not None:
            raise self._error

    train = test = run


@pytest.fixture
def joining(monkeypatch, tmp_path):
    """Commands whose runner joins a group, and then may fail."""

    def set_up(error=None):
        (tmp_path / 'stock.py').write_text('train_cfg = dict(max_iters=3)\n')
        runner = _Joining(tmp_path, error)
        monkeypatch.setattr(training, 'build_runner', lambda cfg: runner)

    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.chdir(tmp_path)
    yield set_up
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize('command', COMMANDS, ids=['train', 'test'])
def test_a_run_that_ends_well_leaves_the_group_that_it_joined(joining, command):
    joining()
    assert training.main(command) == 0
    assert not torch.distributed.is_initialized()


def test_a_run_that_fails_does_not_wait_for_other_processes(joining):
    joining(KeyError('mDice'))
    with pytest.raises(KeyError):
        training.main(['train', 'stock.py'])
    assert torch.distributed.is_initialized()


def test_a_group_that_the_caller_joined_stays_joined(runners, tmp_path):
    group = _Joining(tmp_path)
    group.run()
    try:
        assert training.main(['test', 'stock.py', 'best.pth']) == 0
        assert torch.distributed.is_initialized()
    finally:
        torch.distributed.destroy_process_group()
