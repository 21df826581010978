import errno
import os
import resource
from contextlib import contextmanager, nullcontext

import pytest
from mmengine.fileio import get_file_backend

from mcdrl_mmseg.engine import atomic_backend


@pytest.fixture
def backend():
    return get_file_backend(backend_args=dict(backend='mcdrl_atomic'))


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_written_file_is_read_back_and_no_other_file_is_left(backend, tmp_path):
    path = tmp_path / 'new' / 'epoch_1.pth'
    backend.put(b'old', path)
    backend.put(b'new', str(path))
    assert backend.get(path) == b'new'
    assert names(path.parent) == ['epoch_1.pth']


def test_the_partial_file_of_a_killed_writer_is_removed(backend, tmp_path):
    # Of the checkpoint itself, of another one, and of one with a similar name.
    rests = ['.epoch_1.0a1b2c3d', '.epoch_12.0a1b2c3d', '.best_epoch_1.0a1b2c3d']
    for rest in rests:
        (tmp_path / f'{rest}.partial.pth').write_bytes(b'half')
    backend.put(b'new', tmp_path / 'epoch_1.pth')
    assert names(tmp_path) == [
        '.best_epoch_1.0a1b2c3d.partial.pth',
        '.epoch_12.0a1b2c3d.partial.pth',
        'epoch_1.pth',
    ]
    assert (tmp_path / 'epoch_1.pth').read_bytes() == b'new'


@contextmanager
def size_limit():
    """Limits all files to 1000 bytes, also pytest's own log: keep it short."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture(params=['file too large', 'no space left'])
def full_disk(request, monkeypatch) -> tuple:
    """Writing fails half way, by the kernel: over a limit, or on /dev/full."""
    if request.param == 'file too large':
        return errno.EFBIG, size_limit

    def open_full(path, mode):
        if '.partial' in str(path):
            os.remove(path)
            os.symlink('/dev/full', path)
        return open(path, mode)

    monkeypatch.setattr(atomic_backend, 'open', open_full, raising=False)
    return errno.ENOSPC, nullcontext


@pytest.mark.reliability('fault', 'disk full while a file is written')
def test_on_a_full_disk_the_old_file_is_kept_and_the_error_names_the_file(
    backend, tmp_path, full_disk
):
    code, full = full_disk
    path = tmp_path / 'epoch_2.pth'
    path.write_bytes(b'old')
    with (
        pytest.raises(OSError, match=r'epoch_2\.pth could not be written') as error,
        full(),
    ):
        backend.put(b'0' * 2000, path)
    assert error.value.errno == code
    assert 'Make room on the disk and go on with --resume' in str(error.value)
    assert path.read_bytes() == b'old'
    # No partial file takes up the remaining space.
    assert names(tmp_path) == ['epoch_2.pth']
