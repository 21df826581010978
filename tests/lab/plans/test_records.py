import dataclasses
import json
import math
import threading

import pytest
from filelock import FileLock

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import (
    RunRecord,
    append_record,
    latest_records,
    read_records,
)


def test_a_record_is_read_back_as_it_was_written(tmp_path, make_record):
    record = make_record(
        dice=[0.5, None], metrics={'mDice_fg': 0.5}, versions={'torch': '2'}
    )
    append_record(tmp_path / 'r.jsonl', record)
    assert read_records(tmp_path / 'r.jsonl') == [record]


def test_site_values_are_read_back_and_not_written_if_empty(tmp_path, make_record):
    kept = {'s1': {'calibration': {'all': {'pixels': [1, 2]}}}}
    append_record(tmp_path / 'r.jsonl', make_record(sites=kept))
    append_record(tmp_path / 'r.jsonl', make_record(seed=1))
    first, second = read_records(tmp_path / 'r.jsonl')
    assert (first.sites, second.sites) == (kept, {})
    lines = (tmp_path / 'r.jsonl').read_text().splitlines()
    assert 'sites' in json.loads(lines[0]) and 'sites' not in json.loads(lines[1])


def test_site_values_of_the_wrong_type_are_refused(make_record):
    values = json.loads(make_record(sites={'s1': {}}).to_json())
    with pytest.raises(ProtocolError, match='sites'):
        RunRecord.from_dict({**values, 'sites': {'s1': 3}})


def test_undefined_metrics_are_written_as_null_and_read_as_nan(tmp_path, make_record):
    path = tmp_path / 'r.jsonl'
    append_record(path, make_record(metrics={'x': math.nan, 'y': math.inf}))
    assert json.loads(path.read_text())['metrics'] == {'x': None, 'y': None}
    assert all(math.isnan(v) for v in read_records(path)[0].metrics.values())


def test_appending_leaves_earlier_lines_byte_for_byte(tmp_path, make_record):
    path = tmp_path / 'r.jsonl'
    append_record(path, make_record(seed=0))
    before = path.read_bytes()
    append_record(path, make_record(seed=1))
    assert path.read_bytes().startswith(before)
    assert [r.seed for r in read_records(path)] == [0, 1]


def test_a_last_line_cut_short_is_left_out_with_a_warning(tmp_path, make_record):
    path = tmp_path / 'r.jsonl'
    append_record(path, make_record(seed=0))
    whole = path.read_bytes()
    append_record(path, make_record(seed=1, dice=[0.5]))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.warns(UserWarning, match='last line is incomplete'):
        assert [r.seed for r in read_records(path)] == [0]
    append_record(path, make_record(seed=2))
    assert [r.seed for r in read_records(path)] == [0, 2]
    assert path.read_bytes().startswith(whole)


def test_a_complete_last_line_without_a_newline_is_kept(tmp_path, make_record):
    path = tmp_path / 'r.jsonl'
    append_record(path, make_record(seed=0))
    path.write_bytes(path.read_bytes()[:-1])
    assert [r.seed for r in read_records(path)] == [0]
    append_record(path, make_record(seed=1))
    assert [r.seed for r in read_records(path)] == [0, 1]


def test_a_damaged_line_elsewhere_is_an_error_that_gives_its_number(
    tmp_path, make_record
):
    path = tmp_path / 'r.jsonl'
    append_record(path, make_record())
    path.write_bytes(b'{"half":\n' + path.read_bytes())
    with pytest.raises(ProtocolError, match=r'r\.jsonl, line 1: not a JSON record'):
        read_records(path)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'schema': 2}, 'schema=2 is not supported'),
        ({'selection': 'best'}, "selection='best' is not one of"),
        ({'status': 'half'}, "status='half' is not one of"),
        ({'extra': 1}, r"keys unknown: \['extra'\]"),
        ({'method': '../../up'}, r"method '\.\./\.\./up' cannot name a folder"),
        ({'held_out': '/root'}, "site '/root' cannot name a folder"),
        ({'seed': '../0'}, r"wrong type: \['seed'\]"),
        ({'seed': True, 'budget': None}, r"wrong type: \['seed', 'budget'\]"),
        ({'metrics': {'mDice_fg': 'high'}}, r"wrong type: \['metrics'\]"),
        ({'images': ['i0']}, r"wrong type: \['images'\]"),
        ({'versions': {'torch': 2}}, r"wrong type: \['versions'\]"),
        (
            {'images': [{'image': 1, 'has_lesion': True}]},
            r"images\[0\]: missing or of the wrong type: \['image'\]",
        ),
        (
            {'images': [{'image': 'i', 'has_lesion': 'no', 'dice': 'high'}]},
            r"images\[0\].*: \['has_lesion', 'dice'\]",
        ),
        (
            {
                'images': [
                    {'image': 'i', 'has_lesion': True, 'lesion_classes': [1], 'tp': 'x'}
                ]
            },
            r"images\[0\].*: \['tp', 'lesion_classes'\]",
        ),
    ],
)
def test_a_record_with_unknown_or_invalid_values_is_refused(
    make_record, change, message
):
    values = {**dataclasses.asdict(make_record()), **change}
    with pytest.raises(ProtocolError, match=message):
        RunRecord.from_dict(values)


def test_a_missing_file_holds_no_records(tmp_path):
    assert read_records(tmp_path / 'none.jsonl') == []


def test_appending_waits_for_another_process_that_appends(tmp_path, make_record):
    path = tmp_path / 'r.jsonl'
    writer = threading.Thread(target=append_record, args=(path, make_record()))
    with FileLock(tmp_path / '.r.jsonl.lock'):
        writer.start()
        writer.join(0.3)
        assert writer.is_alive()
        assert not path.exists()
    writer.join(10)
    assert len(read_records(path)) == 1


def test_latest_records_prefer_a_finished_run(make_record):
    done = make_record('m', 's', 0, config='done')
    failed = make_record('m', 's', 0, status='failed', error='x')
    other = make_record('m', 's', 1, status='failed', error='y')
    later = make_record('m', 's', 1, status='failed', error='z')
    assert latest_records([failed, other, done, later]) == [done, later]
    assert latest_records([done, failed]) == [done]


def test_an_oracle_run_does_not_replace_a_validation_run(make_record):
    runs = [make_record(), make_record(selection='oracle')]
    assert latest_records(runs) == runs


@pytest.mark.reliability('bad input', 'records with numbers that no float can hold')
@pytest.mark.parametrize('key', ['metrics', 'duration_s', 'images'])
def test_numbers_too_large_for_a_float_are_reported_with_their_line(
    tmp_path, make_record, key
):
    path = tmp_path / 'r.jsonl'
    values = dataclasses.asdict(make_record(dice=[0.5]))
    if key == 'images':
        values['images'][0]['dice'] = 10**400
    else:
        values[key] = {'m': 10**400} if key == 'metrics' else 10**400
    path.write_text(json.dumps(values) + '\n')
    with pytest.raises(ProtocolError, match=r'r\.jsonl, line 1: .*401 digits'):
        read_records(path)


@pytest.mark.parametrize('seconds', [math.nan, math.inf])
def test_a_duration_that_is_not_finite_is_refused(make_record, seconds):
    values = {**dataclasses.asdict(make_record()), 'duration_s': seconds}
    with pytest.raises(ProtocolError, match=r"wrong type: \['duration_s'\]"):
        RunRecord.from_dict(values)


def test_text_that_is_not_unicode_is_written_as_it_was_read(tmp_path, make_record):
    # A byte of a file name that is not UTF-8, and half of a UTF-16 surrogate pair.
    record = make_record(config='c\udcff.py', error='ä\ud800')
    append_record(tmp_path / 'r.jsonl', record)
    assert read_records(tmp_path / 'r.jsonl') == [record]
    assert 'ä' in (tmp_path / 'r.jsonl').read_text(encoding='utf-8')


def test_a_method_name_longer_than_200_characters_is_refused(make_record):
    values = dataclasses.asdict(make_record())
    with pytest.raises(ProtocolError, match='limit is 200'):
        RunRecord.from_dict({**values, 'method': 'm' * 201})
    RunRecord.from_dict({**values, 'method': 'm' * 200})
