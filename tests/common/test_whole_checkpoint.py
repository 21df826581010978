import copy
import os
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
def test_a_checkpoint_cut_short_is_not(checkpoint, kept):
    os.truncate(checkpoint, int(checkpoint.stat().st_size * kept))
    assert not is_whole(checkpoint)


@pytest.mark.parametrize('place', [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_checkpoint_with_one_bit_changed_is_not(checkpoint, place):
    content = bytearray(checkpoint.read_bytes())
    content[int(len(content) * place)] ^= 1
    checkpoint.write_bytes(content)
    assert not is_whole(checkpoint)


def test_what_is_no_file_or_no_checkpoint_is_not(tmp_path):
    assert not is_whole(tmp_path / 'absent.pth')
    assert not is_whole(tmp_path)
    (tmp_path / 'text.pth').write_text('version https://git-lfs.github.com/spec/v1')
    assert not is_whole(tmp_path / 'text.pth')


def test_the_newest_is_the_one_of_the_highest_number(checkpoint, tmp_path):
    for name in ('epoch_2.pth', 'epoch_10.pth', 'best_epoch_11.pth', 'epoch_12.pth.x'):
        (tmp_path / name).write_bytes(checkpoint.read_bytes())
    assert newest_whole(tmp_path, 'epoch_{}.pth').name == 'epoch_10.pth'
    os.truncate(tmp_path / 'epoch_10.pth', 1000)
    assert newest_whole(tmp_path, 'epoch_{}.pth').name == 'epoch_2.pth'


def test_where_none_is_whole_there_is_none(checkpoint, tmp_path):
    os.truncate(checkpoint, 1000)
    assert newest_whole(tmp_path, 'epoch_{}.pth') is None


@pytest.mark.reliability('security', 'a checkpoint whose parts lie over each other')
def test_parts_that_are_larger_together_than_their_file_are_refused(tmp_path):
    path = tmp_path / 'a.pth'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('data', bytes(1000))
        # The same bytes once more, under another name.
        other = copy.copy(archive.infolist()[0])
        other.filename = 'again'
        archive.filelist.append(other)
        archive.NameToInfo['again'] = other
    with pytest.raises(ValueError, match='parts in it are 2000 bytes'):
        damaged_member(path)
    assert not is_whole(path)
