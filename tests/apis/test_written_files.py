import os
import subprocess

import pytest

from mcdrl_mmseg.apis.written_files import OutputError, WrittenFiles, check_targets

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
