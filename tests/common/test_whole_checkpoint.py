import copy
import io
import os
import struct
import zipfile

import pytest
import torch

from mcdrl_common.whole_checkpoint import damaged_member, is_whole, newest_whole


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    torch.save(dict(state_dict=dict(weight=torch.randn(100, 100))), path)
    return path


def test_a_saved_checkpoint_is_whole(checkpoint):
    assert is_whole(checkpoint)


@pytest.mark.parametrize('kept', [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_checkpoint_is_not_whole(checkpoint, kept):
    os.truncate(checkpoint, int(checkpoint.stat().st_size * kept))
    assert not is_whole(checkpoint)


@pytest.mark.parametrize('place', [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_checkpoint_with_one_changed_bit_is_not_whole(checkpoint, place):
    content = bytearray(checkpoint.read_bytes())
    content[int(len(content) * place)] ^= 1
    checkpoint.write_bytes(content)
    assert not is_whole(checkpoint)


def test_an_absent_file_a_folder_or_a_text_file_is_not_a_whole_checkpoint(tmp_path):
    assert not is_whole(tmp_path / 'absent.pth')
    assert not is_whole(tmp_path)
    (tmp_path / 'text.pth').write_text('version https://git-lfs.github.com/spec/v1')
    assert not is_whole(tmp_path / 'text.pth')


def test_the_newest_whole_checkpoint_is_that_with_the_highest_number(
    checkpoint, tmp_path
):
    for name in ('epoch_2.pth', 'epoch_10.pth', 'best_epoch_11.pth', 'epoch_12.pth.x'):
        (tmp_path / name).write_bytes(checkpoint.read_bytes())
    assert newest_whole(tmp_path, 'epoch_{}.pth').name == 'epoch_10.pth'
    os.truncate(tmp_path / 'epoch_10.pth', 1000)
    assert newest_whole(tmp_path, 'epoch_{}.pth').name == 'epoch_2.pth'


def test_without_a_whole_checkpoint_there_is_no_newest_one(checkpoint, tmp_path):
    os.truncate(checkpoint, 1000)
    assert newest_whole(tmp_path, 'epoch_{}.pth') is None


@pytest.mark.reliability('security', 'a checkpoint whose parts lie over each other')
def test_parts_that_are_together_larger_than_their_file_are_refused(tmp_path):
    path = tmp_path / 'a.pth'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('data', bytes(1000))
        # The same bytes once more, under another name.
        other = copy.copy(archive.infolist()[0])
        other.filename = 'again'
        archive.filelist.append(other)
        archive.NameToInfo['again'] = other
    with pytest.raises(ValueError, match='its parts have 2000 bytes'):
        damaged_member(path)
    assert not is_whole(path)


def zip_of(parts, compression):
    """A zip file up to its end record, and the size and place of its list of parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', compression) as archive:
        for name, content in parts:
            archive.writestr(name, content)
    content = file.getvalue()
    size, place = struct.unpack('<2L', content[-10:-2])
    return content[:-22], size, place


def end64(size, place):
    """The end record of a zip file of one part, in its long (zip64) form."""
    return struct.pack('<4sQ2H2L4Q', b'PK\6\6', 44, 45, 45, 0, 0, 1, 1, size, place)


@pytest.mark.reliability('security', 'a checkpoint with two lists of its parts')
def test_a_file_in_which_torch_and_zipfile_find_different_parts_is_refused(tmp_path):
    seen, size, place = zip_of([('a/data', b'stored')], zipfile.ZIP_STORED)
    # zipfile uses the long end record that precedes its locator, torch the one that
    # the locator names.
    bomb, other_size, other_place = zip_of([('a/data', bytes(10**6))], 8)
    shifted = bytearray(seen)
    shifted[place + 42 : place + 46] = struct.pack('<L', len(bomb) + 56)
    content = bomb + end64(other_size, other_place) + shifted
    content += end64(size, len(bomb) + 56 + place)
    content += struct.pack('<4sLQL', b'PK\6\7', 0, len(bomb), 1)
    full = (*2 * [2**16 - 1], *2 * [2**32 - 1])
    content += struct.pack('<4s4H2LH', b'PK\5\6', 0, 0, *full, 0)
    path = tmp_path / 'a.pth'
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        assert archive.read('a/data') == b'stored'
    with pytest.raises(ValueError, match='end records disagree'):
        damaged_member(path)
    assert not is_whole(path)


def test_a_list_of_parts_that_is_not_at_its_recorded_position_is_refused(checkpoint):
    checkpoint.write_bytes(b'before' + checkpoint.read_bytes())
    with pytest.raises(
        ValueError, match=r'end records disagree|not at the recorded position'
    ):
        damaged_member(checkpoint)


def test_a_comment_at_the_end_of_a_checkpoint_is_accepted(checkpoint):
    with zipfile.ZipFile(checkpoint, 'a') as archive:
        archive.comment = b'of a hospital'
    assert is_whole(checkpoint)
