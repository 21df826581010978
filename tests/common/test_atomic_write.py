import os

import pytest

from mcdrl_common.atomic_write import replacing, write_text


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / 'new' / 'a.txt'
    write_text(path, 'one')
    write_text(path, 'two')
    assert path.read_text() == 'two'
    assert os.listdir(path.parent) == ['a.txt']


@pytest.mark.reliability('fault', 'a table or state that cannot be written')
def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / 'a.txt'
    write_text(path, 'old')
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text('half')
        raise RuntimeError
    assert path.read_text() == 'old'
    assert os.listdir(tmp_path) == ['a.txt']


def test_the_umask_decides_who_may_read(tmp_path):
    old = os.umask(0o027)
    try:
        write_text(tmp_path / 'a.txt', 'x')
    finally:
        os.umask(old)
    assert (tmp_path / 'a.txt').stat().st_mode & 0o777 == 0o640
