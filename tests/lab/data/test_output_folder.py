import os

import pytest

from mcdrl_lab.data.output_folder import (
    differences,
    put_folder,
    put_text,
    work_folder,
)
from mcdrl_lab.errors import ConversionError


def folder(path, **files):
    path.mkdir(parents=True)
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def test_two_conversions_cannot_write_at_once(out):
    with (
        work_folder(out),
        pytest.raises(ConversionError, match='another conversion'),
        work_folder(out),
    ):
        pass
    with work_folder(out):
        pass


def test_an_output_folder_that_stays_empty_is_removed_unless_it_existed_before(out):
    with work_folder(out):
        assert out.is_dir()
    assert not out.exists()
    out.mkdir()
    with work_folder(out):
        pass
    assert out.is_dir()


def test_leftovers_of_a_killed_conversion_are_cleaned_up(out):
    folder(out / '.converting-abc' / 'sites', half='x')
    folder(out / '.previous-a', image='a')
    folder(out / '.previous-b', image='old')
    folder(out / 'b', image='new')
    with work_folder(out):
        pass
    left = sorted(p.relative_to(out).as_posix() for p in out.rglob('*') if p.is_file())
    assert left == ['.lock', 'a/image', 'b/image']
    assert (out / 'b/image').read_text() == 'new'


def test_an_unusable_output_folder_is_named(tmp_path):
    file = tmp_path / 'file'
    file.touch()
    with pytest.raises(ConversionError, match='file'), work_folder(file / 'out'):
        pass


def test_a_folder_replaces_another_one_completely(tmp_path):
    new = folder(tmp_path / 'new', b='2')
    target = folder(tmp_path / 'site', a='1')
    put_folder(new, target)
    assert [path.name for path in target.iterdir()] == ['b']
    assert not new.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ['site']


def test_the_old_folder_comes_back_when_the_new_one_cannot_be_moved(tmp_path):
    target = folder(tmp_path / 'site', a='1')
    with pytest.raises(OSError):
        put_folder(tmp_path / 'missing', target)
    assert (target / 'a').read_text() == '1'


def test_text_is_written_only_if_it_changes(tmp_path):
    target = tmp_path / 'reports' / 'a.json'
    assert put_text('one', target)
    os.utime(target, (1, 1))
    assert not put_text('one', target)
    assert target.stat().st_mtime == 1
    assert put_text('two', target)
    assert target.read_text() == 'two'
    assert [path.name for path in target.parent.iterdir()] == ['a.json']


def test_the_partial_text_file_of_a_killed_writer_is_removed(tmp_path):
    folder(tmp_path / 'reports', **{'.a.0a1b2c3d.partial.json': 'half'})
    assert put_text('whole', tmp_path / 'reports/a.json')
    assert [path.name for path in (tmp_path / 'reports').iterdir()] == ['a.json']


def test_differences_are_changed_missing_and_added_files(tmp_path):
    new = folder(tmp_path / 'new', same='1', changed='1', added='1')
    old = folder(tmp_path / 'old', same='1', changed='2', missing='1')
    assert differences(new, old) == ['added', 'changed', 'missing']
