import gzip
import os

import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.json_lines import append_line, parse_line, read_lines


def test_lines_are_read_in_order_from_plain_and_compressed_files(tmp_path):
    path = tmp_path / 'a.jsonl'
    append_line(path, '{"a": 1}')
    append_line(path, '{"a": 2}')
    assert path.read_bytes() == b'{"a": 1}\n{"a": 2}\n'
    packed = tmp_path / 'a.jsonl.gz'
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_lines(path) == read_lines(packed) == [{'a': 1}, {'a': 2}]
    assert read_lines(tmp_path / 'none') == []


@pytest.mark.reliability('fault', 'killed while a record was written')
def test_an_incomplete_last_line_gives_a_warning_and_the_next_append_cuts_it_off(
    tmp_path,
):
    path = tmp_path / 'a.jsonl'
    path.write_bytes(b'1\n{"a": ')
    with pytest.warns(UserWarning, match='last line is incomplete'):
        assert read_lines(path) == [1]
    append_line(path, '2')
    assert path.read_bytes() == b'1\n2\n'


def test_a_bad_line_is_reported_with_its_number(tmp_path):
    path = tmp_path / 'a.jsonl'
    path.write_bytes(b'1\nno\n3\n')
    with pytest.raises(ProtocolError, match=r'a\.jsonl, line 2: not a JSON record'):
        read_lines(path)


def test_compressed_files_are_checked_and_never_appended_to(tmp_path):
    path = tmp_path / 'a.jsonl.gz'
    path.write_bytes(gzip.compress(b'1\n' * 999)[:-9])
    with pytest.raises(ProtocolError, match='not a complete gzip file'):
        read_lines(path)
    with pytest.raises(ProtocolError, match='cannot be appended'):
        append_line(path, '2')


@pytest.mark.reliability('security', 'records that unpack to far more than their size')
def test_a_file_that_decompresses_to_far_more_than_its_size_is_refused(
    tmp_path, monkeypatch
):
    monkeypatch.setattr('mcdrl_lab.plans.json_lines._MOST_FREE_BYTES', 1000)
    path = tmp_path / 'a.jsonl.gz'
    path.write_bytes(gzip.compress(b'1' * 10**6))
    with pytest.raises(
        ProtocolError, match=r'a\.jsonl\.gz was not read: .* more than 100'
    ):
        read_lines(path)


@pytest.mark.parametrize('text', ['[' * 100_000, '1' * 5000])
def test_json_beyond_the_limits_of_python_is_reported_as_a_bad_line(tmp_path, text):
    path = tmp_path / 'a.jsonl'
    path.write_text(f'1\n{text}\n')
    with pytest.raises(ProtocolError, match=r'a\.jsonl, line 2: not a JSON record'):
        read_lines(path)


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='no named pipes')
def test_a_named_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / 'a.jsonl')
    with pytest.raises(ProtocolError, match='not a regular file'):
        read_lines(tmp_path / 'a.jsonl')


def parse_a(line):
    """Refuse records without the key a."""
    if 'a' not in parse_line(line):
        raise ProtocolError('no record of a.')


@pytest.mark.parametrize('text', ['{"plain": 1.5}', '{"a": 1}\n{"plain": 1.5} '])
def test_complete_json_of_another_kind_is_not_treated_as_an_incomplete_record(
    tmp_path, text
):
    path = tmp_path / 'speeds.json'
    path.write_text(text)
    with pytest.raises(ProtocolError, match=r'speeds\.json, last line: no record of a'):
        read_lines(path, parse_a)
    with pytest.raises(ProtocolError, match=r'speeds\.json, last line: no record of a'):
        append_line(path, '{"a": 2}', parse_a)
    assert path.read_text() == text


@pytest.mark.parametrize('text', ['mine', '{"a": 1}\nmine'])
def test_the_last_line_of_a_text_file_is_not_treated_as_an_incomplete_record(
    tmp_path, text
):
    path = tmp_path / 'notes.md'
    path.write_text(text)
    with pytest.raises(ProtocolError, match=r'notes\.md, last line: not a JSON record'):
        read_lines(path)
    with pytest.raises(ProtocolError, match=r'notes\.md, last line: not a JSON record'):
        append_line(path, '{"a": 2}')
    assert path.read_text() == text


def test_trailing_blanks_are_ignored_and_the_next_append_cuts_them_off(tmp_path):
    path = tmp_path / 'a.jsonl'
    path.write_text('1\n  ')
    assert read_lines(path) == [1]
    append_line(path, '2')
    assert path.read_text() == '1\n2\n'
