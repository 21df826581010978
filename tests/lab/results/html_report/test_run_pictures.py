import os

from mcdrl_lab.results.html_report.report_source import checkpoint_of, config_of


def touch(path, time=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (time, time))
    return path


def test_later_of_two_best_checkpoints_is_the_better(tmp_path):
    assert checkpoint_of(tmp_path) is None
    touch(tmp_path / 'epoch_9.pth', 900)
    later = touch(tmp_path / 'best_mDice_fg_epoch_2.pth', 200)
    touch(tmp_path / 'best_mDice_fg_epoch_1.pth', 100)
    assert checkpoint_of(tmp_path) == later


def test_config_of_a_plans_run_is_its_own(tmp_path):
    touch(tmp_path / '20260101_000000/vis_data/config.py')
    touch(tmp_path / '20260101_000000/vis_data/scalars.json')
    own = touch(tmp_path / 'config.py')
    assert config_of(tmp_path) == own


def test_config_of_a_work_folder_is_that_of_its_last_training(tmp_path):
    assert config_of(tmp_path) is None
    for start in ('20260101_000000', '20260102_000000'):
        touch(tmp_path / start / 'vis_data/scalars.json')
        last = touch(tmp_path / start / 'vis_data/config.py')
    # A test logs no scalars, and may have been of another config.
    touch(tmp_path / '20260103_000000/vis_data/config.py')
    assert config_of(tmp_path) == last
