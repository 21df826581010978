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
def test_links_and_pipes_in_place_of_written_files_are_refused(tmp_path, name, kind):
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


def test_a_linked_list_is_refused_and_the_file_behind_it_unchanged(tmp_path):
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
def test_names_with_line_breaks_are_recognised_again(tmp_path, name):
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
    """A result that a command made of one run."""
    path = tmp_path / 'curves\n.png'
    path.write_bytes(b'x')
    WrittenFiles(tmp_path).add(path, ['plot-run', 'a\nb'])
    return path


def test_the_sources_of_a_result_are_recorded_beside_its_checksum(result):
    written = WrittenFiles(result.parent)
    assert written.made_of(result) == ('plot-run', 'a\nb')
    assert written.others([result]) == []
    done = subprocess.run(
        ['sha256sum', '-c', '--strict', LIST], cwd=result.parent, check=False
    )
    assert done.returncode == 0
    written.add(result)
    assert written.made_of(result) == ()


def test_a_result_can_be_renewed_if_all_its_sources_are_among_the_new_ones(result):
    for made_of in (['plot-run', 'a\nb'], ['plot-run', 'c', 'a\nb']):
        check_renewable([result], [], made_of, overwrite=False)


def test_a_result_of_two_concurrent_commands_is_known_whichever_records_it_last(result):
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
def test_a_result_of_other_sources_is_replaced_only_on_request(result, made_of):
    with pytest.raises(OutputError, match=r'(?s)earlier run are in the way.*--over'):
        check_renewable([result], [], made_of, overwrite=False)
    check_renewable([result], [], made_of, overwrite=True)


def test_a_result_without_recorded_sources_counts_as_made_of_others(result):
    WrittenFiles(result.parent).add(result)
    with pytest.raises(OutputError, match='was made with something else'):
        check_renewable([result], [], ['plot-run'], overwrite=False)


@pytest.mark.parametrize('overwrite', [False, True])
def test_files_of_others_edited_results_inputs_and_folders_are_never_replaced(
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


def test_places_are_absolute_paths(tmp_path, monkeypatch):
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


def test_a_result_can_be_renewed_after_its_folder_was_moved(runs, tmp_path):
    moved = runs.rename(tmp_path / 'laptop')
    made_of = places(moved / 'a', moved / 'b')
    check_renewable([moved / 'a/curves.png'], [], made_of, overwrite=False)
    with pytest.raises(OutputError, match=f'was made with {moved / "b"}'):
        check_renewable([moved / 'a/curves.png'], [], made_of[:1], overwrite=False)


def test_a_copied_result_keeps_its_sources_while_the_original_exists(runs, tmp_path):
    copy = shutil.copytree(runs, tmp_path / 'copy')
    with pytest.raises(OutputError, match=f'was made with {runs / "a"}'):
        made_of = places(copy / 'a', copy / 'b')
        check_renewable([copy / 'a/curves.png'], [], made_of, overwrite=False)


def test_a_list_without_write_permission_is_reported_before_anything_is_replaced(
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


def test_a_folder_in_place_of_a_result_is_reported_as_a_folder(tmp_path):
    (tmp_path / 'results').mkdir()
    (tmp_path / 'results/mine.png').write_bytes(b'x')
    with pytest.raises(OutputError, match=r'results is a folder\. Choose a file'):
        check_renewable([tmp_path / 'results'], [], ['selection'], overwrite=False)


def test_a_place_without_write_permission_is_refused(tmp_path, monkeypatch):
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


def test_a_place_below_a_file_is_refused_but_the_file_itself_is_accepted(tmp_path):
    file = tmp_path / 'file'
    file.touch()
    for place in (file / 'a', file / 'a/b'):
        with pytest.raises(
            OutputError, match=f'{place}: could .*{file} is not a folder'
        ):
            check_place(place)
    check_place(file)
