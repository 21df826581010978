import zipfile

import pytest

from mcdrl_lab.data.converters.archive import Limits
from mcdrl_lab.data.converters.input_files import is_image_name, open_inputs
from mcdrl_lab.errors import ConversionError


def names(inputs, scratch):
    with open_inputs(inputs, scratch, Limits()) as tree:
        return list(tree)


def zip_folder(folder, archive):
    with zipfile.ZipFile(archive, 'w') as file:
        for path in sorted(folder.rglob('*')):
            file.write(path, path.relative_to(folder))
    return archive


def test_a_folder_and_an_archive_give_the_same_paths(make, download, tmp_path):
    make.image('set/b.png')
    make.image('set/a b.JPG')
    archive = zip_folder(download, tmp_path / 'data.zip')
    expected = ['set/a b.JPG', 'set/b.png']
    assert names([download], tmp_path) == names([archive], tmp_path) == expected


def test_unpacked_files_are_removed_at_the_end(make, download, tmp_path):
    make.image('a.png')
    archive = zip_folder(download, tmp_path / 'data.zip')
    scratch = tmp_path / 'scratch'
    scratch.mkdir()
    with open_inputs([archive], scratch, Limits()) as tree:
        path = tree.path('a.png')
        assert path.is_file()
        assert path.is_relative_to(scratch)
    assert not list(scratch.iterdir())


def test_hidden_files_and_mac_leftovers_are_left_out(make, download, tmp_path):
    for name in ('a.png', '.DS_Store.png', '__MACOSX/a.png', 'x/._b.png', '.git/c.png'):
        make.image(name)
    assert names([download], tmp_path) == ['a.png']


def test_several_inputs_are_kept_apart_by_their_names(make, download, tmp_path):
    make.image('one/a.png')
    make.image('two/a.png')
    archive = zip_folder(download / 'two', tmp_path / 'two.v1.zip')
    assert names([download / 'one', archive], tmp_path) == ['one/a.png', 'two/a.png']


def test_inputs_with_the_same_name_and_the_same_file_are_refused(
    make, download, tmp_path
):
    make.image('x/set/a.png')
    make.image('y/set/a.png')
    inputs = [download / 'x/set', download / 'y/set']
    with pytest.raises(ConversionError, match=r'set/a\.png'):
        names(inputs, tmp_path)


def test_folders_that_link_to_each_other_cause_no_endless_loop(
    make, download, tmp_path
):
    make.image('a/b.png')
    (download / 'a' / 'loop').symlink_to(download)
    (download / 'linked').symlink_to(download / 'a')
    assert 'a/b.png' in names([download], tmp_path)


def test_linked_image_folders_are_read(make, download, tmp_path):
    make.image('elsewhere/a.png')
    data = tmp_path / 'data'
    data.mkdir()
    (data / 'images').symlink_to(download / 'elsewhere')
    assert names([data], tmp_path) == ['images/a.png']


@pytest.mark.parametrize('kind', ['missing', 'rar'])
def test_errors_about_unusable_inputs_say_what_to_do(tmp_path, kind):
    path = tmp_path / 'data.rar'
    if kind == 'rar':
        path.write_bytes(b'Rar!\x1a\x07\x01\x00')
    message = 'no such' if kind == 'missing' else 'Unpack other archives'
    with pytest.raises(ConversionError, match=message):
        names([path], tmp_path)


def test_names_that_are_not_utf8_can_be_written_into_a_report(download, tmp_path):
    with open(bytes(download) + b'/caf\xe9.png', 'w'):
        pass
    (name,) = names([download], tmp_path)
    assert name.encode('utf-8')


@pytest.mark.parametrize(
    ('name', 'expected'), [('a.JPG', True), ('b.tif', True), ('c.txt', False)]
)
def test_image_names_are_recognised_in_any_case(name, expected):
    assert is_image_name(name) is expected
