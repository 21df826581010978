import os
import warnings

import pytest
import torch
from mmengine.config import Config

from mcdrl_lab.plans.hashing import data_hash
from mcdrl_lab.results.html_report import run_pictures
from mcdrl_lab.results.html_report.drawn_runs import ReportOptions, draw_runs
from mcdrl_lab.results.html_report.report_source import (
    ReportSource,
    checkpoint_of,
    config_of,
)
from mcdrl_lab.results.html_report.run_pictures import RunModel, found_config


def touch(path, time=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (time, time))
    return path


def test_the_later_of_two_best_checkpoints_is_used(tmp_path):
    assert checkpoint_of(tmp_path) is None
    touch(tmp_path / 'epoch_9.pth', 900)
    later = touch(tmp_path / 'best_mDice_fg_epoch_2.pth', 200)
    touch(tmp_path / 'best_mDice_fg_epoch_1.pth', 100)
    assert checkpoint_of(tmp_path) == later


def test_a_run_of_a_plan_uses_its_own_config(tmp_path):
    touch(tmp_path / '20260101_000000/vis_data/config.py')
    touch(tmp_path / '20260101_000000/vis_data/scalars.json')
    own = touch(tmp_path / 'config.py')
    assert config_of(tmp_path) == own


def test_config_of_a_work_folder_is_that_of_its_last_training(tmp_path):
    assert config_of(tmp_path) is None
    for start in ('20260101_000000', '20260102_000000'):
        touch(tmp_path / start / 'vis_data/scalars.json')
        last = touch(tmp_path / start / 'vis_data/config.py')
    # A test logs no scalars, and may have used another config.
    touch(tmp_path / '20260103_000000/vis_data/config.py')
    assert config_of(tmp_path) == last


@pytest.mark.reliability('security', 'a config in a folder that a report is made of')
def test_code_in_a_found_config_is_not_executed(tmp_path, make_record):
    record = make_record()
    folder = tmp_path / 'mcdrl/s1/seed0'
    touch(folder / 'best_mDice_fg_epoch_1.pth')
    marker = tmp_path / 'executed'
    (folder / 'config.py').write_text(f"open({str(marker)!r}, 'w')\nmodel = dict()\n")
    source = ReportSource(tmp_path, [record], {record.key: folder}, is_plan=True)
    drawn, problems = draw_runs(source, 'mcdrl', ReportOptions())
    assert drawn == {}
    assert len(problems) == 1
    assert problems[0].startswith(f's1: {folder}/config.py: line 1')
    assert 'was not run' in problems[0]
    assert not marker.exists()


def test_a_config_written_by_a_run_is_read_back(tmp_path, tiny_config):
    cfg = Config.fromfile(tiny_config)
    cfg.dump(tmp_path / 'config.py')
    found = found_config(tmp_path / 'config.py')
    assert found.test_dataloader.dataset == cfg.test_dataloader.dataset
    assert found.model.decode_head.type == cfg.model.decode_head.type


def test_a_dataset_type_outside_the_registry_is_refused(tmp_path, tiny_config):
    cfg = Config.fromfile(tiny_config)
    cfg.test_dataloader.dataset.type = 'os.system'
    cfg.dump(tmp_path / 'config.py')
    with pytest.raises(ValueError, match=r"dataset\.type='os\.system'"):
        found_config(tmp_path / 'config.py')


@pytest.mark.reliability('security', 'a found config whose pipeline unpickles')
@pytest.mark.parametrize(
    'transform',
    [
        dict(type='LoadBiomedicalImageFromFile', decode_backend='pickle'),
        dict(type='LoadImageFromFile', backend_args=dict(backend='petrel')),
    ],
)
def test_transforms_of_a_found_config_that_may_run_code_are_refused(
    tmp_path, tiny_config, transform
):
    cfg = Config.fromfile(tiny_config)
    cfg.test_dataloader.dataset.pipeline = [transform]
    cfg.dump(tmp_path / 'config.py')
    with pytest.raises(ValueError, match=r'was not run.*--config'):
        found_config(tmp_path / 'config.py')


@pytest.fixture
def tested(sites, monkeypatch):
    """A model that was tested at the site west, on masks of 400 lesion pixels."""
    dataset = sites.config()['test_dataloader']['dataset']
    keys = ('img_path', 'site')
    dataset['pipeline'] = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadLesionMask'),
        dict(type='PackSegInputs', meta_keys=keys),
    ]
    model = torch.nn.Module()
    model.cfg = Config(dict(test_dataloader=dict(dataset=dataset)))
    monkeypatch.setattr(run_pictures, 'load_segmentor', lambda *_: model)
    monkeypatch.setattr(RunModel, '_draw', lambda self, index: index)
    monkeypatch.setattr(run_pictures, 'closed_gate_note', lambda _: None)
    monkeypatch.setattr(run_pictures, 'last_decode_head', lambda _: None)
    return RunModel('best.pth', 'config.py')


def test_an_image_with_the_same_name_in_another_dataset_is_not_drawn(tested, sites):
    case = dict(image='images/1.png', tp=300, fn=100, pixels=48 * 64)
    assert tested.pictures('west', dict(worst=case)).cases == {'worst': 1}
    assert tested.pictures('west', dict(worst=dict(image='images/1.png'))).cases
    for other in (dict(case, fn=101), dict(case, pixels=48 * 64 - 1)):
        with pytest.raises(
            ValueError, match='is not the image that was tested'
        ) as told:
            tested.pictures('west', dict(worst=other))
        assert f'{sites.image("west")} is' in str(told.value)
        assert 'its mask has 400 lesion pixels of 3072, and that of' in str(told.value)


def test_data_with_another_hash_than_the_records_give_a_warning(tmp_path, make_record):
    record = make_record()
    folder = tmp_path / 'run'
    touch(folder / 'best_mDice_fg_epoch_1.pth')
    touch(folder / 'config.py')
    touch(tmp_path / 'data/s1/images/i0.jpg')
    source = ReportSource(tmp_path, [record], {record.key: folder}, is_plan=True)
    options = ReportOptions(data_root=tmp_path / 'data')
    with pytest.warns(
        UserWarning, match=r"data: these may not be the files that 'mcdrl' was"
    ):
        draw_runs(source, 'mcdrl', options)
    files = [('s1/images/i0.jpg', 0)]
    source.records[:] = [make_record(data_hash=data_hash(files))]
    with warnings.catch_warnings():
        warnings.simplefilter('error', UserWarning)
        draw_runs(source, 'mcdrl', options)
