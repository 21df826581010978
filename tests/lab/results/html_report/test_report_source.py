import os

import pytest

from mcdrl_common.image_records import write_records
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import append_record
from mcdrl_lab.results.html_report.report_source import load_source


@pytest.fixture
def plan(tmp_path, make_record):
    for record in (
        make_record('baseline'),
        make_record('mcdrl', seed=1),
        make_record('mcdrl', seed=0),
        make_record('mcdrl', 's2', seed=3),
        make_record('other', status='failed', error='x'),
    ):
        append_record(tmp_path / 'records.jsonl', record)
    (tmp_path / 'mcdrl/s1/seed0').mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize('named', ['', 'records.jsonl'])
def test_plan_is_found_by_its_folder_or_its_records(plan, named):
    source = load_source(plan / named)
    assert source.is_plan
    assert len(source.records) == 5
    assert source.methods == ['baseline', 'mcdrl']
    assert source.folders == {('mcdrl', 's1', 0, 'validation'): plan / 'mcdrl/s1/seed0'}


def test_first_runs_are_those_with_the_lowest_seed(plan):
    runs = load_source(plan).first_runs('mcdrl')
    assert {site: record.seed for site, record in runs.items()} == {'s1': 0, 's2': 3}


def test_a_validation_run_is_preferred_to_an_oracle_run(plan, make_record):
    oracle = make_record('mcdrl', seed=0, selection='oracle')
    source = load_source(plan)
    source.records[:] = [oracle, make_record('mcdrl', seed=5)]
    assert source.first_runs('mcdrl')['s1'].seed == 5


def test_work_folder_gives_one_record_for_each_tested_site(tmp_path, make_image):
    folder = tmp_path / 'demo'
    images = [
        make_image('images/a.jpg', 0.2, 's1'),
        make_image('images/b.jpg', 0.4, 's1'),
        make_image('images/c.jpg', None, 's2'),
    ]
    for record in images:
        record.update(accuracy=0.9, precision=0.5, recall=0.5, nsd=None)
        record.update(dice_mean256=None, iou_mean256=None)
    write_records(folder / 'records.json', dict(images=images))
    (folder / 'other.json').write_text('{"kind": "something else"}')
    source = load_source(folder)
    assert not source.is_plan
    assert source.methods == ['demo']
    assert [r.held_out for r in source.records] == ['s1', 's2']
    assert source.records[0].metrics['mDice_fg'] == pytest.approx(0.3)
    assert [i['image'] for i in source.records[1].images] == ['images/c.jpg']
    assert set(source.folders.values()) == {folder}


def test_the_newest_of_several_tests_counts(tmp_path, make_image):
    for name, site, time in (('a', 'new', 200), ('b', 'old', 100)):
        record = make_image('x.jpg', 0.5, site)
        record.update(accuracy=0.9, precision=0.5, recall=0.5, nsd=None)
        record.update(dice_mean256=None, iou_mean256=None)
        write_records(tmp_path / f'{name}.json', dict(images=[record]))
        os.utime(tmp_path / f'{name}.json', (time, time))
    assert [r.held_out for r in load_source(tmp_path).records] == ['new']


def test_a_folder_without_results_is_refused_with_a_remedy(tmp_path):
    with pytest.raises(ProtocolError, match=r'test_evaluator\.records_path='):
        load_source(tmp_path)
    with pytest.raises(ProtocolError, match='neither a file nor a folder'):
        load_source(tmp_path / 'none')


def test_a_records_file_with_invalid_images_is_named_in_the_error(tmp_path):
    write_records(
        tmp_path / 'test.json',
        {'metrics': {}, 'images': [{'image': 'i', 'has_lesion': True}]},
    )
    with pytest.raises(ProtocolError, match=r'test\.json: an image lacks a value'):
        load_source(tmp_path)
    write_records(tmp_path / 'test.json', {'metrics': {}, 'images': [1]})
    with pytest.raises(ProtocolError, match=r'test\.json: .*wrong type'):
        load_source(tmp_path)


@pytest.mark.reliability('bad input', 'a pipe or nested JSON in a folder to report on')
def test_files_that_are_not_records_are_skipped(tmp_path):
    os.mkfifo(tmp_path / 'a.json')
    (tmp_path / 'b.json').mkdir()
    (tmp_path / 'c.json').write_text('[' * 90_000)
    (tmp_path / 'd.json').write_text('1' * 400)
    with pytest.raises(ProtocolError, match='holds neither'):
        load_source(tmp_path)
