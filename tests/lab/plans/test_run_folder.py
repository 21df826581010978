import json
import os
import zipfile

import pytest
from mmengine.config import Config

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.run_folder import RunFolder, failure_reason


@pytest.fixture
def cfg():
    return Config(
        {
            'model': {'type': 'M', 'width': 8},
            'train_cfg': {'max_epochs': 10, 'val_interval': 1},
            'test_evaluator': {'type': 'SiteLesionMetric'},
            'default_hooks': {'checkpoint': {'save_best': 'mDice_fg'}},
            'data_root': '/somewhere',
        }
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'run').mkdir()
    return RunFolder(tmp_path / 'run')


def checkpoint(folder, name, whole=True):
    path = folder.path / name
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('weights', b'0' * 1000)
    if not whole:
        path.write_bytes(path.read_bytes()[:-30])
    return path


def test_a_best_checkpoint_alone_is_not_a_point_to_resume_from(folder):
    checkpoint(folder, 'best_mDice_fg_epoch_9.pth')
    assert not folder.has_checkpoint()
    checkpoint(folder, 'iter_45.pth')
    assert folder.has_checkpoint()


def test_the_best_checkpoint_is_the_latest_complete_one(folder):
    old = checkpoint(folder, 'best_mDice_fg_epoch_9.pth')
    os.utime(old, (1, 1))
    newer = checkpoint(folder, 'best_mDice_fg_epoch_10.pth')
    assert folder.best_checkpoint() == newer
    checkpoint(folder, newer.name, whole=False)
    assert folder.best_checkpoint() == old
    old.unlink()
    with pytest.raises(ProtocolError, match=r'no complete best_\*\.pth'):
        folder.best_checkpoint()


def test_dropping_resume_points_keeps_the_best_checkpoint(folder):
    best = checkpoint(folder, 'best_mDice_fg_epoch_9.pth')
    checkpoint(folder, 'epoch_9.pth')
    (folder.path / 'last_checkpoint').write_text('x')
    folder.drop_resume_points()
    assert list(folder.path.iterdir()) == [best]


def test_progress_is_read_from_logs_and_checkpoints(folder, cfg):
    assert folder.training_fraction(cfg, 20) == 0.0
    checkpoint(folder, 'epoch_2.pth')
    assert folder.training_fraction(cfg, 20) == pytest.approx(0.2)
    log = folder.path / '2024' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    lines = [{'iter': n, 'epoch': 1} for n in range(1, 101)] + [
        {'mDice_fg': 1, 'step': 5}
    ]
    log.write_text('\n'.join(map(json.dumps, lines)) + '\n{"iter": 1')
    assert folder.training_fraction(cfg, 20) == pytest.approx(0.5)


def test_a_run_started_with_other_settings_is_refused_and_they_are_named(folder, cfg):
    folder.prepare(cfg, {})
    changed = Config({**cfg.to_dict(), 'model': {'type': 'M', 'width': 9}})
    with pytest.raises(ProtocolError, match=r'these differ: model\.width\.'):
        folder.check(changed, {})


def test_a_moved_data_folder_is_not_a_changed_setting(folder, cfg):
    folder.prepare(cfg, {})
    folder.check(Config({**cfg.to_dict(), 'data_root': '/elsewhere'}), {})


def test_the_dumped_config_can_be_read_and_holds_the_output_paths(folder, cfg):
    folder.prepare(cfg, {})
    read = Config.fromfile(folder.config_path)
    assert read.work_dir == str(folder.path)
    assert read.test_evaluator.records_path == str(folder.records_path)
    assert read.model == cfg.model


def test_the_duration_adds_up_all_attempts_including_killed_ones(folder, cfg):
    folder.prepare(cfg, {})
    log = folder.path / 'train.log'
    log.write_text('')
    os.utime(log, (1030, 1030))
    killed = {'stage': 'train', 'started': 1000, 'ended': None}
    whole = {'stage': 'train', 'started': 2000, 'ended': 2005}
    folder.update(attempts=[killed, whole])
    assert folder.duration_s == pytest.approx(35.0)
    with folder.attempt('test'):
        pass
    ended = [attempt['ended'] for attempt in folder.state['attempts']]
    assert ended[:2] == [1030, 2005]
    assert folder.duration_s == pytest.approx(35.0, abs=1.0)


def test_the_error_is_found_in_a_log_among_other_output():
    log = """Traceback (most recent call last):
  File "train.py", line 1
\x1b[31mtorch.OutOfMemoryError: CUDA out of memory.\x1b[0m
    more about it
"""
    assert failure_reason(log) == 'torch.OutOfMemoryError: CUDA out of memory.'
    torchrun = """[rank0]:     raise error
[rank0]: ValueError: only on one machine.
    raise ChildFailedError(
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
  exitcode  : 1 (pid: 12596)
"""
    assert failure_reason(torchrun) == 'ValueError: only on one machine.'
    told = 'train: The data are not fit.\nmissing mask (1):\n  a.png: none'
    assert failure_reason(f'one\n{told}') == 'train: The data are not fit.'
    joined = f'{told}\ntorch.distributed.elastic.multiprocessing.errors.Child:\n'
    assert failure_reason(joined) == 'train: The data are not fit.'
    assert failure_reason('one\n two \n\n') == 'two'
    assert failure_reason('') == ''


@pytest.mark.reliability('fault', 'a state of a run that is a folder or of odd numbers')
@pytest.mark.parametrize(
    'damage',
    [
        lambda path: path.mkdir(),
        os.mkfifo,
        lambda path: path.write_text('{"attempts": [' + _attempt('1' * 400)),
        lambda path: path.write_text('{"attempts": [' + _attempt('NaN')),
        lambda path: path.write_text('{"attempts": [' + _attempt('1e999')),
        lambda path: path.write_text('{"attempts": [' + _attempt('true')),
    ],
)
def test_a_damaged_state_file_is_set_aside(folder, damage):
    damage(folder.path / 'state.json')
    assert folder.state == {}
    (found,) = folder.set_aside_if_damaged()
    assert 'state.json is damaged' in found
    assert [path.name for path in folder.path.iterdir()] == ['state.json.damaged']
    assert folder.duration_s == 0


def _attempt(started):
    return f'{{"stage": "train", "started": {started}, "ended": 1}}]}}'


def test_damaged_log_lines_do_not_count_as_progress(folder, cfg):
    for name, text in (('a', '{"iter": 1e999}'), ('b', '{"iter": ' + '1' * 400 + '}')):
        log = folder.path / name / 'vis_data' / 'scalars.json'
        log.parent.mkdir(parents=True)
        log.write_text(text + '\n{"iter": 100}\n')
    (folder.path / 'c/vis_data').mkdir(parents=True)
    os.mkfifo(folder.path / 'c/vis_data/scalars.json')
    assert folder.training_fraction(cfg, 20) == pytest.approx(0.5)
