import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mcdrl_common.written_files import (
    OutputError,
    WrittenFiles,
    check_noted,
    check_place,
    check_renewable,
    check_targets,
    places,
)

LIST = '.mcdrl_written.sha256'


@pytest.mark.parametrize('name', [LIST, 'a.png'])
@pytest.mark.parametrize('kind', ['link', 'dangling', 'pipe'])
def test_links_and_pipes_in_the_way_are_refused(tmp_path, name, kind):
    out = tmp_path / 'out'
    out.mkdir()
    target = out / 'a.png'
    target.write_bytes(b'x')
    place = out / name
    place.unlink(missing_ok=True)
    if kind == 'pipe':
        os.mkfifo(place)
    else:
        other = tmp_path / 'other'
        if kind == 'link':
            other.write_bytes(b'kept')
        place.symlink_to(other)
    with pytest.raises(OutputError, match=f'{name}: in the way: not a regular'):
        check_targets(out, [target], [], overwrite=True)


def test_nothing_is_added_to_another_file_through_a_link(tmp_path):
    other = tmp_path / 'other.txt'
    other.write_bytes(b'kept')
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'a.png').write_bytes(b'x')
    (out / LIST).symlink_to(other)
    with pytest.raises(OutputError, match=LIST):
        WrittenFiles(out).add(out / 'a.png')
    assert other.read_bytes() == b'kept'


@pytest.mark.parametrize(
    'name', ['a\nb.png', 'a\x85b.png', 'a\u2028b.png', 'a\\b\n.png', 'a\\nb.png']
)
def test_names_with_line_breaks_are_known_again(tmp_path, name):
    (tmp_path / name).write_bytes(b'x')
    (tmp_path / 'other.png').write_bytes(b'x')
    written = WrittenFiles(tmp_path)
    written.add(tmp_path / name)
    assert written.others([tmp_path / name]) == []
    assert written.others([tmp_path / 'other.png']) == [tmp_path / 'other.png']
    done = subprocess.run(['sha256sum', '-c', LIST], cwd=tmp_path, check=False)
    assert done.returncode == 0


@pytest.fixture
def result(tmp_path):
    """A result of a command, of one run."""
    path = tmp_path / 'curves\n.png'
    path.write_bytes(b'x')
    WrittenFiles(tmp_path).add(path, ['plot-run', 'a\nb'])
    return path


def test_what_a_result_was_made_of_is_noted_beside_its_sum(result):
    written = WrittenFiles(result.parent)
    assert written.made_of(result) == ('plot-run', 'a\nb')
    assert written.others([result]) == []
    done = subprocess.run(
        ['sha256sum', '-c', '--strict', LIST], cwd=result.parent, check=False
    )
    assert done.returncode == 0
    written.add(result)
    assert written.made_of(result) == ()


def test_a_result_is_renewed_where_all_that_it_was_made_of_is_there(result):
    for made_of in (['plot-run', 'a\nb'], ['plot-run', 'c', 'a\nb']):
        check_renewable([result], [], made_of, overwrite=False)


def test_a_result_of_two_commands_at_once_is_known_whichever_notes_it_last(result):
    written = WrittenFiles(result.parent)
    first = result.read_bytes()
    result.write_bytes(b'second')
    assert written.others([result]) == [result]
    written.add(result, ['plot-run', 'a\nb'])
    second = result.with_name('second.png')
    result.rename(second)
    result.write_bytes(first)
    written.add(result, ['plot-run', 'a\nb'])
    second.replace(result)
    assert written.others([result]) == []


@pytest.mark.parametrize('made_of', [['plot-run', 'c'], ['selection', 'a\nb']])
def test_a_result_of_something_else_is_replaced_only_where_asked_for(result, made_of):
    with pytest.raises(OutputError, match=r'(?s)earlier run are in the way.*--over'):
        check_renewable([result], [], made_of, overwrite=False)
    check_renewable([result], [], made_of, overwrite=True)


def test_a_result_whose_origin_nobody_noted_is_of_something_else(result):
    WrittenFiles(result.parent).add(result)
    with pytest.raises(OutputError, match='was made with something else'):
        check_renewable([result], [], ['plot-run'], overwrite=False)


@pytest.mark.parametrize('overwrite', [False, True])
def test_what_others_wrote_and_folders_and_inputs_are_never_replaced(
    tmp_path, result, overwrite
):
    notes = tmp_path / 'notes.md'
    notes.write_text('mine')
    made_of = ['plot-run', 'a\nb']
    with pytest.raises(OutputError, match=r'notes\.md, not written here'):
        check_renewable([notes], [], made_of, overwrite)
    with pytest.raises(OutputError, match='an input'):
        check_renewable([result], [result], made_of, overwrite)
    result.write_bytes(b'edited')
    with pytest.raises(OutputError, match='changed since'):
        check_renewable([result], [], made_of, overwrite)
    (tmp_path / 'folder.png').mkdir()
    with pytest.raises(OutputError, match=r'folder\.png is a folder'):
        check_renewable([tmp_path / 'folder.png'], [], made_of, overwrite)


def test_places_are_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert places('a', tmp_path / 'b/../a') == [str(tmp_path.resolve() / 'a')] * 2


@pytest.fixture
def runs(tmp_path):
    """A folder of two runs, and a picture of both in the first."""
    for name in ('a', 'b'):
        (tmp_path / 'plan' / name).mkdir(parents=True)
    path = tmp_path / 'plan/a/curves.png'
    path.write_bytes(b'x')
    made_of = places(tmp_path / 'plan/a', tmp_path / 'plan/b')
    WrittenFiles(path.parent).add(path, made_of)
    assert WrittenFiles(path.parent).made_of(path) == tuple(made_of)
    return tmp_path / 'plan'


def test_a_result_is_renewed_where_its_folder_was_moved(runs, tmp_path):
    moved = runs.rename(tmp_path / 'laptop')
    made_of = places(moved / 'a', moved / 'b')
    check_renewable([moved / 'a/curves.png'], [], made_of, overwrite=False)
    with pytest.raises(OutputError, match=f'was made with {moved / "b"}'):
        check_renewable([moved / 'a/curves.png'], [], made_of[:1], overwrite=False)


def test_what_a_result_is_of_stays_so_in_a_copy_beside_it(runs, tmp_path):
    copy = shutil.copytree(runs, tmp_path / 'copy')
    with pytest.raises(OutputError, match=f'was made with {runs / "a"}'):
        made_of = places(copy / 'a', copy / 'b')
        check_renewable([copy / 'a/curves.png'], [], made_of, overwrite=False)


def test_a_list_that_may_not_be_written_to_is_told_before_anything_is_replaced(
    result, monkeypatch
):
    def allowed(path, mode):
        return path.name != LIST or not mode & os.W_OK

    monkeypatch.setattr(os, 'access', allowed)
    for target in (result, result.with_name('new.png')):
        with pytest.raises(
            OutputError, match=f'{LIST}: no permission to read and write this list'
        ):
            check_renewable([target], [], ['plot-run', 'a\nb'], overwrite=True)
        with pytest.raises(OutputError, match='another user'):
            check_noted(target, ['plot-run'])


def test_a_folder_of_pictures_is_named_as_one(tmp_path):
    (tmp_path / 'results').mkdir()
    (tmp_path / 'results/mine.png').write_bytes(b'x')
    with pytest.raises(OutputError, match=r'results is a folder\. Choose a file'):
        check_renewable([tmp_path / 'results'], [], ['selection'], overwrite=False)


def test_a_place_that_may_not_be_written_to_is_refused(tmp_path, monkeypatch):
    shut = tmp_path / 'shut'
    (shut / 'there').mkdir(parents=True)
    monkeypatch.setattr(os, 'access', lambda path, mode: path != shut)
    for place in (shut, shut / 'new.csv', shut / 'new/folder'):
        with pytest.raises(OutputError, match=f'{place}: could .*{shut} is not wri'):
            check_place(place)
    with pytest.raises(OutputError, match=f'{shut} is not writable'):
        check_targets(shut, [], [], overwrite=True)
    for place in (shut / 'there', shut / 'there/new.csv', tmp_path / 'a/b', Path('a')):
        check_place(place)


def test_a_place_below_a_file_is_refused_and_the_file_itself_may_be_replaced(tmp_path):
    file = tmp_path / 'file'
    file.touch()
    for place in (file / 'a', file / 'a/b'):
        with pytest.raises(
            OutputError, match=f'{place}: could .*{file} is not a folder'
        ):
            check_place(place)
    check_place(file)
