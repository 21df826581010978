import gzip

import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.json_lines import append_line, read_lines


def test_lines_are_read_in_order_also_when_compressed(tmp_path):
    path = tmp_path / 'a.jsonl'
    append_line(path, '{"a": 1}')
    append_line(path, '{"a": 2}')
    assert path.read_bytes() == b'{"a": 1}\n{"a": 2}\n'
    packed = tmp_path / 'a.jsonl.gz'
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_lines(path) == read_lines(packed) == [{'a': 1}, {'a': 2}]
    assert read_lines(tmp_path / 'none') == []


@pytest.mark.reliability('fault', 'killed while a record was written')
def test_a_torn_last_line_is_warned_of_and_then_cut_off(tmp_path):
    path = tmp_path / 'a.jsonl'
    path.write_bytes(b'1\n{"a": ')
    with pytest.warns(UserWarning, match='cut short'):
        assert read_lines(path) == [1]
    append_line(path, '2')
    assert path.read_bytes() == b'1\n2\n'


def test_a_bad_line_is_named(tmp_path):
    path = tmp_path / 'a.jsonl'
    path.write_bytes(b'1\nno\n3\n')
    with pytest.raises(ProtocolError, match=r'a\.jsonl, line 2: not a JSON record'):
        read_lines(path)


def test_compressed_files_are_checked_and_never_appended_to(tmp_path):
    path = tmp_path / 'a.jsonl.gz'
    path.write_bytes(gzip.compress(b'1\n' * 999)[:-9])
    with pytest.raises(ProtocolError, match='not a whole gzip file'):
        read_lines(path)
    with pytest.raises(ProtocolError, match='cannot be appended'):
        append_line(path, '2')
