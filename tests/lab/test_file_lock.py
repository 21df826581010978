import subprocess
import sys

import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.file_lock import FolderLock

WAIT_FOR_INPUT = 'import sys; sys.stdin.read()'


def test_a_second_holder_is_refused_by_name(tmp_path):
    with FolderLock(tmp_path) as lock:
        lock.note('process 1234')
        with pytest.raises(ProtocolError, match='worked on by process 1234'):
            FolderLock(tmp_path).__enter__()
    with FolderLock(tmp_path):
        pass


@pytest.mark.reliability('fault', 'a command killed, whose training goes on')
def test_a_child_that_outlives_its_starter_keeps_the_lock(tmp_path):
    lock = FolderLock(tmp_path)
    assert lock.try_acquire()
    child = subprocess.Popen(
        [sys.executable, '-c', WAIT_FOR_INPUT],
        stdin=subprocess.PIPE,
        pass_fds=(lock.fileno(),),
    )
    lock.release()
    other = FolderLock(tmp_path)
    assert not other.try_acquire()
    child.communicate()
    assert other.try_acquire()
    other.release()


def test_children_do_not_get_the_lock_unasked(tmp_path):
    lock = FolderLock(tmp_path)
    assert lock.try_acquire()
    child = subprocess.Popen(
        [sys.executable, '-c', WAIT_FOR_INPUT], stdin=subprocess.PIPE
    )
    lock.release()
    with FolderLock(tmp_path):
        pass
    child.communicate()
