import multiprocessing
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mcdrl_mmseg.clip.embedding_cache import (
    cache_file,
    read_embeddings,
    write_embeddings,
)

FINGERPRINT = 'ab' * 32


def embeddings(value: float = 1.0) -> torch.Tensor:
    return torch.full((12, 128), value)


@pytest.fixture
def path(tmp_path) -> Path:
    return cache_file(tmp_path / 'new' / 'folder', FINGERPRINT)


def test_written_embeddings_are_read_back_unchanged(path):
    given = torch.randn(12, 128)
    write_embeddings(path, FINGERPRINT, given)
    assert torch.equal(read_embeddings(path, FINGERPRINT), given)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_each_fingerprint_has_its_own_file(tmp_path):
    names = {cache_file(tmp_path, digit * 64).name for digit in 'abc'}
    assert len(names) == 3


def test_transposed_embeddings_are_read_back_unchanged(path):
    given = torch.randn(128, 12).t()
    write_embeddings(path, FINGERPRINT, given)
    assert torch.equal(read_embeddings(path, FINGERPRINT), given)


def test_an_absent_file_gives_none(path):
    assert read_embeddings(path, FINGERPRINT) is None


@pytest.mark.reliability('fault', 'dictionary cache emptied or overwritten')
@pytest.mark.parametrize('content', [b'', b'damaged' * 100, b'\xff' * 8])
def test_a_damaged_or_empty_file_gives_none(path, content):
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert read_embeddings(path, FINGERPRINT) is None


@pytest.mark.reliability('fault', 'dictionary cache cut short')
@pytest.mark.parametrize('lacking', [1, 100, 4000, 6000])
def test_a_truncated_file_gives_none(path, lacking):
    write_embeddings(path, FINGERPRINT, embeddings())
    os.truncate(path, path.stat().st_size - lacking)
    assert read_embeddings(path, FINGERPRINT) is None


def test_a_folder_in_place_of_the_file_gives_none(path):
    path.mkdir(parents=True)
    assert read_embeddings(path, FINGERPRINT) is None


@pytest.mark.reliability('fault', 'dictionary cache of other prompts or weights')
def test_a_file_with_another_fingerprint_gives_none(path):
    write_embeddings(path, 'cd' * 32, embeddings())
    assert read_embeddings(path, FINGERPRINT) is None


@pytest.mark.reliability('fault', 'dictionary cache of another version')
def test_a_file_with_another_layout_gives_none(path):
    path.parent.mkdir(parents=True)
    save_file({'embeddings': embeddings()}, path, {'fingerprint': FINGERPRINT})
    assert read_embeddings(path, FINGERPRINT) is None
    save_file({'text_embeddings': embeddings()}, path)
    assert read_embeddings(path, FINGERPRINT) is None


def test_a_damaged_file_is_replaced(path):
    path.parent.mkdir(parents=True)
    path.write_bytes(b'damaged')
    write_embeddings(path, FINGERPRINT, embeddings(2))
    assert torch.equal(read_embeddings(path, FINGERPRINT), embeddings(2))


@pytest.mark.reliability('fault', 'disk full while the dictionary cache is written')
def test_a_failed_write_keeps_the_old_file_and_leaves_no_temporary_file(
    path, monkeypatch
):
    write_embeddings(path, FINGERPRINT, embeddings(1))

    def fail(*_):
        raise OSError('disk full')

    monkeypatch.setattr(os, 'fsync', fail)
    with pytest.raises(OSError, match='disk full'):
        write_embeddings(path, FINGERPRINT, embeddings(2))
    assert torch.equal(read_embeddings(path, FINGERPRINT), embeddings(1))
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_folder_that_cannot_be_created_raises_os_error(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError):
        write_embeddings(
            cache_file(tmp_path / 'file' / 'x', FINGERPRINT), FINGERPRINT, embeddings()
        )


@pytest.mark.reliability('fault', 'two runs that build one dictionary cache at once')
def test_readers_see_only_complete_files_while_two_writers_replace_them(path):
    """Every file that is read comes from one writer alone."""
    # Files of two lengths: the header of one with the values of the other is noticed.
    kinds = [embeddings(1.0), embeddings(2.0).double()]
    write_embeddings(path, FINGERPRINT, kinds[0])
    stop = threading.Event()
    failures = []

    def write(values):
        try:
            while not stop.is_set():
                write_embeddings(path, FINGERPRINT, values)
        except BaseException as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(values,)) for values in kinds]
    for writer in writers:
        writer.start()
    seen = Counter()
    try:
        while min(seen[torch.float32], seen[torch.float64]) < 200:
            assert not failures
            found = read_embeddings(path, FINGERPRINT)
            assert found is not None
            assert any(torch.equal(found, values) for values in kinds)
            seen[found.dtype] += 1
    finally:
        # Threads left running would call the os.fsync that later tests patch.
        stop.set()
        for writer in writers:
            writer.join()
    assert not failures
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def write_for_ever(path):
    # A fork inherits a handler that other tests of this process may have left.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    value = 1.0
    while True:
        write_embeddings(path, FINGERPRINT, embeddings(value))
        value += 1


@pytest.mark.reliability(
    'fault', 'killed 20 times while the dictionary cache is written'
)
@pytest.mark.parametrize('kind', [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_writer_leaves_a_complete_file(path, kind):
    write_embeddings(path, FINGERPRINT, embeddings(0))
    rng = random.Random(int(kind))
    context = multiprocessing.get_context('fork')
    values = set()
    for _ in range(10):
        writer = context.Process(target=write_for_ever, args=(path,))
        begun = path.stat().st_mtime_ns
        writer.start()
        while path.stat().st_mtime_ns == begun:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.005))
        os.kill(writer.pid, kind)
        writer.join()
        assert writer.exitcode == -kind
        found = read_embeddings(path, FINGERPRINT)
        assert found is not None and len(found.unique()) == 1
        values.add(float(found[0, 0]))
    assert 0.0 not in values


@pytest.mark.reliability('fault', 'dictionary cache with values changed')
@pytest.mark.parametrize('change', [0.5, float('nan'), float('inf')])
def test_changed_values_under_the_right_fingerprint_give_none(path, change):
    write_embeddings(path, FINGERPRINT, embeddings())
    with safe_open(path, framework='pt') as file:
        metadata = file.metadata()
    changed = embeddings()
    changed[3, 5] = change
    save_file({'text_embeddings': changed}, path, metadata)
    assert read_embeddings(path, FINGERPRINT) is None
