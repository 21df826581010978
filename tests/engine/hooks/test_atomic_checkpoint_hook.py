"""A toy trained by MMEngine's runner, interrupted and damaged in many ways."""

import errno
import math
import os
import shutil
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import FlexibleRunner, Runner

from mcdrl_common.file_lock import FolderBusyError, folder_lock
from mcdrl_common.whole_checkpoint import is_whole
from mcdrl_mmseg.engine import training_lock
from mcdrl_mmseg.engine.hooks import AtomicCheckpointHook
from mcdrl_mmseg.safe_loading import CheckpointError


class Killed(Exception):
    """Stands for the end of the process: nothing after it runs."""


class KillHook(Hook):
    """Interrupts a run at the n-th call of a hook's method."""

    priority = 'VERY_HIGH'

    def __init__(self, method, count):
        self.count = count
        setattr(self, method, self._call)

    def _call(self, runner, *args, **kwargs):
        self.count -= 1
        if self.count == 0:
            raise Killed


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'run'


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.glob('*.pth'))


def logged(folder) -> str:
    return '\n'.join(path.read_text() for path in folder.rglob('*.log'))


def last_state(folder):
    pointer = (folder / 'last_checkpoint').read_text()
    return torch.load(pointer, weights_only=False)


@pytest.fixture
def unbroken(make_toy_runner, tmp_path):
    make_toy_runner(work_dir=str(tmp_path / 'unbroken')).train()
    return last_state(tmp_path / 'unbroken')


def assert_equal_runs(found, expected):
    for key, value in expected['state_dict'].items():
        assert torch.equal(found['state_dict'][key], value), key
    moments = expected['optimizer']['state']
    for index, state in moments.items():
        for key, value in state.items():
            assert torch.equal(found['optimizer']['state'][index][key], value)


def fail_to_write(monkeypatch, name):
    """Make the disk appear full for files of one name."""
    replace = os.replace

    def full(source, target):
        if str(target).endswith(name):
            raise OSError(errno.ENOSPC, 'No space left on device')
        replace(source, target)

    monkeypatch.setattr(os, 'replace', full)


def test_max_keep_ckpts_limits_the_kept_checkpoints(make_toy_runner, folder):
    runner = make_toy_runner(scores=(3, 5, 4, 1), checkpoint=dict(max_keep_ckpts=2))
    runner.train()
    assert names(folder) == ['best_score_epoch_2.pth', 'epoch_3.pth', 'epoch_4.pth']
    assert {path.name for path in folder.glob('.*')} == {'.training-lock'}


@pytest.mark.parametrize('kind', [Runner, FlexibleRunner])
def test_checkpoints_record_the_epochs_and_steps_that_were_done(
    make_toy_runner, folder, kind
):
    """Each is saved again after its validation, as it is the best so far."""
    more = dict(strategy=dict(type='SingleDeviceStrategy'))
    make_toy_runner(kind=kind, **(more if kind is FlexibleRunner else {})).train()
    for epoch in (1, 2, 3):
        saved = torch.load(folder / f'epoch_{epoch}.pth', weights_only=False)
        assert (saved['meta']['epoch'], saved['meta']['iter']) == (epoch, 2 * epoch)


def test_a_score_that_is_not_a_number_is_not_the_best(make_toy_runner, folder):
    # Surface distances are undefined while nothing is found, as at the beginning.
    with pytest.raises(Killed):
        hook = KillHook('before_train_epoch', 2)
        make_toy_runner(scores=(math.nan, 2, 1), custom_hooks=[hook]).train()
    assert names(folder) == ['epoch_1.pth']
    make_toy_runner(scores=(math.nan, 2, 1), resume=True).train()
    assert names(folder)[0] == 'best_score_epoch_2.pth'


def test_a_validation_without_training_saves_nothing(make_toy_runner, folder):
    assert make_toy_runner(scores=(3,)).val()['score'] == 3
    assert names(folder) == []


@pytest.mark.reliability('fault', 'disk full at a checkpoint, with one kept')
def test_the_only_checkpoint_is_kept_if_the_next_cannot_be_written(
    make_toy_runner, folder, monkeypatch, unbroken
):
    runner = make_toy_runner(checkpoint=dict(max_keep_ckpts=1))
    with monkeypatch.context() as patch:
        fail_to_write(patch, 'epoch_2.pth')
        with pytest.raises(OSError, match=r'epoch_2\.pth could not be written'):
            runner.train()
    assert names(folder) == ['best_score_epoch_1.pth', 'epoch_1.pth']
    make_toy_runner(checkpoint=dict(max_keep_ckpts=1), resume=True).train()
    assert names(folder) == ['best_score_epoch_3.pth', 'epoch_3.pth']
    assert_equal_runs(last_state(folder), unbroken)


@pytest.mark.reliability('fault', 'disk full at the best checkpoint')
def test_the_best_so_far_is_kept_if_a_better_one_cannot_be_written(
    make_toy_runner, folder, monkeypatch
):
    with monkeypatch.context() as patch:
        fail_to_write(patch, 'best_score_epoch_2.pth')
        with pytest.raises(OSError, match='best_score_epoch_2'):
            make_toy_runner().train()
    assert is_whole(folder / 'best_score_epoch_1.pth')
    make_toy_runner(resume=True).train()
    assert 'best_score_epoch_3.pth' in names(folder)
    assert 'best_score_epoch_1.pth' not in names(folder)


@pytest.mark.reliability('fault', 'the newest checkpoint cut short')
def test_a_truncated_newest_checkpoint_is_reported_and_the_one_before_used(
    make_toy_runner, folder, unbroken
):
    make_toy_runner().train()
    os.truncate(folder / 'epoch_3.pth', 2000)
    make_toy_runner(resume=True).train()
    log = logged(folder)
    assert 'epoch_3.pth is missing, truncated or changed, and is not used' in log
    assert 'the run goes on from' in log and 'epoch_2.pth' in log
    assert_equal_runs(last_state(folder), unbroken)


@pytest.mark.reliability('fault', 'the newest checkpoint with a bit changed')
def test_a_newest_checkpoint_with_a_changed_bit_is_reported_and_not_used(
    make_toy_runner, folder, unbroken
):
    make_toy_runner().train()
    content = bytearray((folder / 'epoch_3.pth').read_bytes())
    content[len(content) // 2] ^= 1
    (folder / 'epoch_3.pth').write_bytes(content)
    make_toy_runner(resume=True).train()
    assert 'epoch_3.pth is missing, truncated or changed' in logged(folder)
    assert_equal_runs(last_state(folder), unbroken)


@pytest.mark.reliability('fault', 'all checkpoints damaged')
def test_without_a_whole_checkpoint_the_run_starts_again_and_logs_it(
    make_toy_runner, folder, unbroken
):
    make_toy_runner().train()
    for path in folder.glob('epoch_*.pth'):
        path.write_bytes(b'')
    make_toy_runner(resume=True).train()
    assert 'no other is intact, the run starts anew' in logged(folder)
    assert_equal_runs(last_state(folder), unbroken)


@pytest.mark.reliability('fault', 'killed while `last_checkpoint` was written')
@pytest.mark.parametrize('pointer', [None, '', 'epoch_9.pth'])
def test_without_a_valid_pointer_the_newest_checkpoint_is_used(
    make_toy_runner, folder, unbroken, pointer
):
    with pytest.raises(Killed):
        make_toy_runner(custom_hooks=[KillHook('before_train_iter', 5)]).train()
    (folder / 'last_checkpoint').unlink()
    if pointer is not None:
        (folder / 'last_checkpoint').write_text(pointer)
    make_toy_runner(resume=True).train()
    assert 'resumed epoch: 2' in logged(folder)
    assert_equal_runs(last_state(folder), unbroken)


@pytest.mark.reliability('fault', 'killed in a validation')
@pytest.mark.parametrize('scores', [(1, 2, 3), (3, 2, 1), (1, 3, 2)])
@pytest.mark.parametrize('epoch', [1, 2, 3])
def test_an_interrupted_validation_is_repeated_after_resuming(
    make_toy_runner, folder, scores, epoch
):
    hook = KillHook('after_val_epoch', epoch)
    with pytest.raises(Killed):
        make_toy_runner(scores=scores, custom_hooks=[hook]).train()
    assert names(folder)[-1] == f'epoch_{epoch}.pth'
    make_toy_runner(scores=scores, resume=True).train()
    best = [name for name in names(folder) if name.startswith('best')]
    assert best == [f'best_score_epoch_{scores.index(3) + 1}.pth']


def test_a_completed_validation_is_not_repeated_after_resuming(make_toy_runner, folder):
    with pytest.raises(Killed):
        make_toy_runner(custom_hooks=[KillHook('before_train_iter', 5)]).train()
    make_toy_runner(resume=True).train()
    assert 'validating now' not in logged(folder)


def test_a_fresh_run_neither_resumes_from_nor_removes_existing_checkpoints(
    make_toy_runner, folder
):
    folder.mkdir()
    (folder / 'epoch_7.pth').write_bytes(b'a user put this here')
    make_toy_runner().train()
    assert (folder / 'epoch_7.pth').read_bytes() == b'a user put this here'
    assert 'resumed epoch' not in logged(folder)


@pytest.fixture
def copied(make_toy_runner, folder, tmp_path):
    """A copy of the folder of a run that was interrupted after two of three epochs."""
    with pytest.raises(Killed):
        make_toy_runner(custom_hooks=[KillHook('before_train_iter', 5)]).train()
    copy = tmp_path / 'copy'
    shutil.copytree(folder, copy)
    return copy


@pytest.mark.reliability('silent', 'a copied work folder, resumed')
def test_a_copied_folder_resumes_from_its_own_checkpoint_and_best(
    make_toy_runner, folder, copied, unbroken
):
    before = {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}
    # The original has been trained on since it was copied.
    (folder / 'epoch_2.pth').write_bytes(b'trained on with other settings')
    before[folder / 'epoch_2.pth'] = b'trained on with other settings'
    make_toy_runner(work_dir=str(copied), resume=True).train()
    assert_equal_runs(last_state(copied), unbroken)
    assert names(copied)[0] == 'best_score_epoch_3.pth'
    assert 'best_score_epoch_2.pth' not in names(copied)
    assert (copied / 'last_checkpoint').read_text() == str(copied / 'epoch_3.pth')
    after = {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}
    assert after == before


def test_a_moved_folder_resumes_from_the_checkpoint_that_its_pointer_names(
    make_toy_runner, folder, copied, unbroken
):
    shutil.rmtree(folder)
    make_toy_runner(work_dir=str(copied), resume=True).train()
    assert 'and is not used' not in logged(copied)
    assert_equal_runs(last_state(copied), unbroken)
    assert 'best_score_epoch_2.pth' not in names(copied)


def test_a_best_checkpoint_missing_in_a_copy_is_reported_and_the_original_kept(
    make_toy_runner, folder, copied
):
    (copied / 'best_score_epoch_2.pth').unlink()
    make_toy_runner(work_dir=str(copied), scores=(1, 2, 0), resume=True).train()
    assert (folder / 'best_score_epoch_2.pth').is_file()
    assert not list(copied.glob('best*'))
    log = ' '.join(logged(copied).split())
    assert f"{folder}/best_score_epoch_2.pth, is not in this run's folder" in log
    state = last_state(copied)['message_hub']['runtime_info']
    assert (state['best_score'], state['best_ckpt']) == (2, None)


def test_with_several_scores_the_best_checkpoint_of_the_own_folder_is_used(
    make_toy_runner, folder
):
    runner = make_toy_runner()
    hook = next(h for h in runner.hooks if type(h).__name__ == 'AtomicCheckpointHook')
    hook.key_indicators = ['a', 'b']
    hook.out_dir = str(folder)
    hook.best_ckpt_path_dict = {'a': '/elsewhere/best_a.pth', 'b': None}
    (folder / 'best_a.pth').write_bytes(b'')
    hook._keep_best_in_own_folder(runner)
    assert hook.best_ckpt_path_dict == {'a': str(folder / 'best_a.pth'), 'b': None}
    info = runner.message_hub.runtime_info
    assert info['best_ckpt_a'] == str(folder / 'best_a.pth')


POLY = dict(type='PolyLR', power=0.9, eta_min=0, by_epoch=False, end=6)


@pytest.mark.reliability('silent', 'a run resumed with another rate')
@pytest.mark.parametrize('schedule', [None, [POLY]])
def test_a_resumed_run_logs_the_rate_that_it_uses_and_that_of_the_config(
    make_toy_runner, folder, schedule
):
    first = dict(param_scheduler=schedule, scores=(1, 2))
    make_toy_runner(**first).train()
    other = dict(optimizer=dict(type='AdamW', lr=0.025, weight_decay=0.5))
    runner = make_toy_runner(resume=True, param_scheduler=schedule, optim_wrapper=other)
    runner.train()
    log = ' '.join(logged(folder).split())
    assert 'uses settings of its checkpoint' in log
    assert 'lr=0.1 (config: 0.025)' in log
    assert 'weight_decay=0.01 (config: 0.5)' in log
    assert runner.optim_wrapper.param_groups[0]['weight_decay'] == 0.01


@pytest.mark.reliability('silent', 'a run resumed with another schedule')
def test_a_resumed_run_logs_the_schedule_that_it_uses_and_that_of_the_config(
    make_toy_runner, folder
):
    make_toy_runner(param_scheduler=[POLY], scores=(1, 2)).train()
    make_toy_runner(param_scheduler=[{**POLY, 'power': 2.0}], resume=True).train()
    assert 'PolyLR.power=0.9 (config: 2.0)' in ' '.join(logged(folder).split())


def test_a_run_resumed_with_its_own_settings_does_not_warn(make_toy_runner, folder):
    schedule = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=3), POLY]
    make_toy_runner(param_scheduler=schedule, scores=(1, 2)).train()
    make_toy_runner(param_scheduler=schedule, resume=True).train()
    assert 'resumed epoch: 2' in logged(folder)
    assert 'settings of its checkpoint' not in logged(folder)


def test_a_run_is_not_resumed_from_the_best_checkpoint(make_toy_runner, folder):
    """It holds no optimizer and no schedule: both would start anew, at epoch 2."""
    make_toy_runner(param_scheduler=[POLY], scores=(1, 2)).train()
    best = str(folder / 'best_score_epoch_2.pth')
    runner = make_toy_runner(param_scheduler=[POLY], load_from=best, resume=True)
    with pytest.raises(CheckpointError) as caught:
        runner.train()
    assert (
        f'{best}: has no state of the optimizer and no state of param_scheduler'
    ) in str(caught.value)
    assert names(folder) == ['best_score_epoch_2.pth', 'epoch_1.pth', 'epoch_2.pth']


@pytest.mark.parametrize(
    ('option', 'missing'),
    [
        ('save_optimizer', 'the optimizer'),
        ('save_param_scheduler', 'param_scheduler'),
    ],
)
def test_a_run_is_not_resumed_without_a_saved_optimizer_or_schedule(
    make_toy_runner, folder, option, missing
):
    options = dict(param_scheduler=[POLY], checkpoint={option: False})
    make_toy_runner(scores=(1, 2), **options).train()
    with pytest.raises(CheckpointError, match=f'has no state of {missing}, so a'):
        make_toy_runner(resume=True, **options).train()


WARMUP = dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=2)


@pytest.mark.parametrize(
    'schedules', [None, [POLY], [WARMUP, POLY, WARMUP], [POLY, WARMUP]]
)
def test_a_run_is_not_resumed_with_another_number_or_order_of_schedules(
    make_toy_runner, folder, schedules
):
    """Each would get the state of the one at its position: PolyLR would end at 2.

    Without any, the rate would stay where the checkpoint's schedules left it.
    """
    make_toy_runner(param_scheduler=[WARMUP, POLY], scores=(1, 2)).train()
    with pytest.raises(CheckpointError, match='its 2 schedules differ in number or'):
        make_toy_runner(param_scheduler=schedules, resume=True).train()
    assert 'epoch_3.pth' not in names(folder)


def test_a_best_checkpoint_is_tested_with_the_config_of_a_resumed_run(
    make_toy_runner, folder
):
    """Such a config says ``resume=True``, and MMEngine resumes for a test too."""
    make_toy_runner(param_scheduler=[POLY], scores=(1, 2)).train()
    best = str(folder / 'best_score_epoch_2.pth')
    options = dict(param_scheduler=[POLY], load_from=best, resume=True)
    assert make_toy_runner(scores=(1, 2), **options).val() == {'score': 2}


def test_weights_of_a_best_checkpoint_start_a_new_training(make_toy_runner, folder):
    make_toy_runner(param_scheduler=[POLY], scores=(1, 2)).train()
    best = str(folder / 'best_score_epoch_2.pth')
    runner = make_toy_runner(param_scheduler=[POLY], load_from=best)
    runner.load_or_resume()
    assert (int(runner.model.steps), runner.epoch) == (4, 0)


class SpoilHook(Hook):
    """Sets a weight or statistic of the toy after the n-th step."""

    priority = 'VERY_HIGH'

    def __init__(self, name, value, step):
        self.name, self.value, self.step = name, value, step

    def after_train_iter(self, runner, batch_idx, **kwargs):
        if runner.iter + 1 == self.step:
            runner.model.state_dict()[self.name].view(-1)[0] = self.value


@pytest.mark.reliability('fault', 'weights that a step made NaN or infinite')
@pytest.mark.parametrize('name', ['layers.1.weight', 'layers.0.running_var'])
@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_are_never_saved(
    make_toy_runner, folder, name, value
):
    runner = make_toy_runner()
    # The second epoch, of steps 3 and 4, would also be the best so far.
    runner.register_hook(SpoilHook(name, value, step=4))
    with pytest.raises(RuntimeError, match=rf'NaN or infinite.*{name}') as caught:
        runner.train()
    assert type(caught.value).__name__ == 'NonFiniteWeightsError'
    assert names(folder) == ['best_score_epoch_1.pth', 'epoch_1.pth']
    for path in folder.glob('*.pth'):
        state = torch.load(path, weights_only=False)['state_dict']
        assert all(weight.isfinite().all() for weight in state.values())


def test_weights_are_saved_if_only_their_sum_is_not_finite():
    state = dict(
        large=torch.full((9,), 6e4, dtype=torch.float16),
        attention_mask=torch.tensor([0.0, -math.inf]),
        count=torch.tensor(3),
    )
    AtomicCheckpointHook().before_save_checkpoint(None, dict(state_dict=state))
    state['large'][3] = math.inf
    state['attention_mask'][0] = math.nan
    with pytest.raises(RuntimeError, match=r'2 weights .*\(large, attention_mask\)'):
        AtomicCheckpointHook().before_save_checkpoint(
            SimpleNamespace(iter=1), dict(state_dict=state)
        )


@pytest.mark.reliability('fault', "two trainings of MMSegmentation's own tools")
def test_a_runner_locks_its_work_folder_while_it_trains(
    make_toy_runner, folder, monkeypatch
):
    monkeypatch.setattr(training_lock, 'WAIT_S', 0.1)
    # As another process would: take the lock itself, not this process's record of it.
    with (
        folder_lock(folder, training_lock.LOCK_NAME),
        pytest.raises(FolderBusyError, match='run is being worked on by process'),
    ):
        make_toy_runner(work_dir=str(folder)).train()
    assert names(folder) == []
    busy = []

    class Other(Hook):
        def before_train_epoch(self, runner):
            with pytest.raises(FolderBusyError):
                folder_lock(folder, training_lock.LOCK_NAME).__enter__()
            busy.append(True)

    runner = make_toy_runner(work_dir=str(folder))
    runner.register_hook(Other())
    runner.train()
    assert busy
    # Free again at the end.
    with folder_lock(folder, training_lock.LOCK_NAME):
        pass


def test_two_trainings_do_not_write_checkpoints_to_one_folder(
    make_toy_runner, folder, tmp_path, monkeypatch
):
    """Work folders of one name share a folder below ``out_dir``."""
    monkeypatch.setattr(training_lock, 'WAIT_S', 0.1)
    scratch = tmp_path / 'scratch'
    runner = make_toy_runner(checkpoint=dict(out_dir=str(scratch)))
    with (
        folder_lock(scratch / 'run', training_lock.LOCK_NAME),
        pytest.raises(FolderBusyError, match='scratch/run is being worked on'),
    ):
        runner.train()
    # As the program that was refused ends.
    training_lock.release_work_folder(folder)
    make_toy_runner(checkpoint=dict(out_dir=str(scratch)), scores=(1, 2)).train()
    assert names(scratch / 'run') == [
        'best_score_epoch_2.pth',
        'epoch_1.pth',
        'epoch_2.pth',
    ]
    assert names(folder) == []
    resumed = dict(checkpoint=dict(out_dir=str(scratch)), resume=True)
    make_toy_runner(scores=(1, 2, 3), **resumed).train()
    assert names(scratch / 'run')[0] == 'best_score_epoch_3.pth'
    for free in (folder, scratch / 'run'):
        with folder_lock(free, training_lock.LOCK_NAME):
            pass


def test_a_run_is_not_resumed_from_checkpoints_of_another_run_below_out_dir(
    make_toy_runner, folder, tmp_path
):
    shared = dict(checkpoint=dict(out_dir=str(tmp_path / 'scratch')), scores=(1, 2))
    make_toy_runner(**shared).train()
    fresh = dict(shared, work_dir=str(tmp_path / 'other/run'), resume=True)
    with pytest.raises(CheckpointError) as refused:
        make_toy_runner(**fresh).train()
    text = str(refused.value)
    assert text.startswith(f'{tmp_path}/scratch/run holds checkpoints (best_score_')
    assert f'but {tmp_path}/other/run has no last_checkpoint' in text
    assert not (tmp_path / 'other/run/last_checkpoint').exists()
    # Of a run that was killed after a validation, before its first checkpoint.
    assert text.endswith('if there are no others, move them away to start anew.')
    # The path that the message gives for a run whose last_checkpoint was lost.
    own = str(tmp_path / 'scratch/run/epoch_2.pth')
    make_toy_runner(**dict(fresh, scores=(1, 2, 3)), load_from=own).train()
    assert 'resumed epoch: 2' in logged(tmp_path / 'other/run')
    # Two steps an epoch.
    assert last_state(tmp_path / 'other/run')['state_dict']['steps'] == 6
