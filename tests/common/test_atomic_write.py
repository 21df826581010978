import errno
import os
import stat
from pathlib import Path

import pytest

from mcdrl_common.atomic_write import atomic_write, write_bytes, write_text


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / 'new' / 'a.txt'
    write_text(path, 'one')
    write_text(path, 'two')
    assert path.read_text() == 'two'
    assert os.listdir(path.parent) == ['a.txt']


@pytest.mark.reliability('fault', 'a table or state that cannot be written')
def test_a_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path):
    path = tmp_path / 'a.txt'
    write_text(path, 'old')
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:
        temporary.write_text('half')
        raise RuntimeError
    assert path.read_text() == 'old'
    assert os.listdir(tmp_path) == ['a.txt']


def test_the_old_file_stays_in_place_until_the_new_one_is_on_disk(
    tmp_path, monkeypatch
):
    path = tmp_path / 'epoch_1.pth'
    write_bytes(path, b'old')
    seen = []

    def fsync(handle):
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        content = b'' if is_folder else os.pread(handle, 10, 0)
        visible = sorted(p.name for p in tmp_path.iterdir() if p.name[0] != '.')
        seen.append((is_folder, content, path.read_bytes(), visible))

    monkeypatch.setattr(os, 'fsync', fsync)
    write_bytes(path, b'new')
    # First the file, under a hidden name, then the folder with its new entry.
    assert seen == [
        (False, b'new', b'old', ['epoch_1.pth']),
        (True, b'', b'new', ['epoch_1.pth']),
    ]


def test_a_write_that_need_not_be_durable_does_not_sync_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, 'fsync', synced.append)
    write_bytes(tmp_path / 'a', b'x', durable=False)
    assert (tmp_path / 'a').read_bytes() == b'x' and not synced


def test_several_writers_of_a_file_do_not_mix_their_contents(tmp_path):
    path = tmp_path / 'a.txt'
    with atomic_write(path) as first, atomic_write(path) as second:
        assert {first.suffix, second.suffix} == {'.txt'}
        first.write_text('first')
        second.write_text('second')
    # The outer one is finished last.
    assert path.read_text() == 'first'
    assert os.listdir(tmp_path) == ['a.txt']


def test_the_umask_decides_the_permissions_of_a_written_file(tmp_path):
    old = os.umask(0o027)
    try:
        write_text(tmp_path / 'a.txt', 'x')
    finally:
        os.umask(old)
    assert (tmp_path / 'a.txt').stat().st_mode & 0o777 == 0o640


@pytest.mark.reliability('fault', 'disk full while a table or state is written')
def test_a_full_disk_is_reported_with_the_name_of_the_file(tmp_path, monkeypatch):
    def full(self, content):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(Path, 'write_bytes', full)
    with pytest.raises(OSError, match='No space left') as caught:
        write_text(tmp_path / 'table.md', 'x')
    assert caught.value.filename == str(tmp_path / 'table.md')
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_disk_is_reported_with_the_name_of_the_file(tmp_path, monkeypatch):
    def read_only(self, **kwargs):
        raise OSError(errno.EROFS, 'Read-only file system', str(self))

    monkeypatch.setattr(Path, 'touch', read_only)
    with pytest.raises(OSError, match='Read-only') as caught:
        write_text(tmp_path / 'table.md', 'x')
    assert caught.value.filename == str(tmp_path / 'table.md')


def test_a_file_in_place_of_the_folder_is_named_in_the_error(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError, match='file') as caught:
        write_text(tmp_path / 'file' / 'table.md', 'x')
    assert caught.value.filename in (tmp_path / 'file', str(tmp_path / 'file'))
