import os
import subprocess
import sys

import pytest

from mcdrl_common.file_lock import FolderBusyError, folder_lock

HOLD_UNTIL_INPUT_ENDS = """
import sys
from mcdrl_common.file_lock import folder_lock
with folder_lock(sys.argv[1]):
    print('held', flush=True)
    sys.stdin.read()
"""


def hold(folder):
    """Another process that holds a folder."""
    process = subprocess.Popen(
        [sys.executable, '-c', HOLD_UNTIL_INPUT_ENDS, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == 'held\n'
    return process


def test_a_second_holder_is_refused_with_the_name_of_the_first(tmp_path):
    other = hold(tmp_path)
    with pytest.raises(FolderBusyError, match=f'process {other.pid}$') as refused:
        folder_lock(tmp_path).__enter__()
    assert refused.value.folder == tmp_path
    assert refused.value.holder == f'process {other.pid}'
    other.communicate()
    with folder_lock(tmp_path):
        pass


def test_the_same_process_cannot_lock_a_folder_twice(tmp_path):
    with (
        folder_lock(tmp_path),
        pytest.raises(FolderBusyError, match=f'process {os.getpid()}$'),
        folder_lock(tmp_path),
    ):
        pass


def test_an_error_inside_releases_the_folder(tmp_path):
    with pytest.raises(KeyError), folder_lock(tmp_path):
        raise KeyError
    with folder_lock(tmp_path):
        pass


@pytest.mark.reliability('fault', 'a command killed, whose lock file stays')
def test_the_lock_file_of_a_killed_holder_blocks_nobody(tmp_path):
    other = hold(tmp_path)
    other.kill()
    other.communicate()
    assert (tmp_path / '.lock').exists()
    with folder_lock(tmp_path):
        pass


def test_child_processes_do_not_inherit_the_lock(tmp_path):
    with folder_lock(tmp_path):
        child = subprocess.Popen(
            [sys.executable, '-c', 'import sys; sys.stdin.read()'],
            stdin=subprocess.PIPE,
        )
    with folder_lock(tmp_path):
        pass
    child.communicate()


def test_the_folder_is_created_and_only_the_lock_file_remains(tmp_path):
    folder = tmp_path / 'new' / 'folder'
    with folder_lock(folder):
        pass
    assert [path.name for path in folder.iterdir()] == ['.lock']
