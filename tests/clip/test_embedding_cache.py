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


def test_what_is_written_is_read_again(path):
    given = torch.randn(12, 128)
    write_embeddings(path, FINGERPRINT, given)
    assert torch.equal(read_embeddings(path, FINGERPRINT), given)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_fingerprints_have_files_of_their_own(tmp_path):
    names = {cache_file(tmp_path, digit * 64).name for digit in 'abc'}
    assert len(names) == 3


def test_transposed_embeddings_are_written_as_they_look(path):
    given = torch.randn(128, 12).t()
    write_embeddings(path, FINGERPRINT, given)
    assert torch.equal(read_embeddings(path, FINGERPRINT), given)


def test_absent_file_is_nothing(path):
    assert read_embeddings(path, FINGERPRINT) is None


@pytest.mark.reliability('fault', 'dictionary cache emptied or overwritten')
@pytest.mark.parametrize('content', [b'', b'damaged' * 100, b'\xff' * 8])
def test_damaged_or_empty_file_is_nothing(path, content):
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert read_embeddings(path, FINGERPRINT) is None


@pytest.mark.reliability('fault', 'dictionary cache cut short')
@pytest.mark.parametrize('lacking', [1, 100, 4000, 6000])
def test_file_cut_short_is_nothing(path, lacking):
    write_embeddings(path, FINGERPRINT, embeddings())
    os.truncate(path, path.stat().st_size - lacking)
    assert read_embeddings(path, FINGERPRINT) is None


def test_folder_in_the_files_place_is_nothing(path):
    path.mkdir(parents=True)
    assert read_embeddings(path, FINGERPRINT) is None


@pytest.mark.reliability('fault', 'dictionary cache of other prompts or weights')
def test_file_of_another_fingerprint_is_nothing(path):
    write_embeddings(path, 'cd' * 32, embeddings())
    assert read_embeddings(path, FINGERPRINT) is None


@pytest.mark.reliability('fault', 'dictionary cache of another version')
def test_file_of_another_layout_is_nothing(path):
    path.parent.mkdir(parents=True)
    save_file({'embeddings': embeddings()}, path, {'fingerprint': FINGERPRINT})
    assert read_embeddings(path, FINGERPRINT) is None
    save_file({'text_embeddings': embeddings()}, path)
    assert read_embeddings(path, FINGERPRINT) is None


def test_damaged_file_is_replaced(path):
    path.parent.mkdir(parents=True)
    path.write_bytes(b'damaged')
    write_embeddings(path, FINGERPRINT, embeddings(2))
    assert torch.equal(read_embeddings(path, FINGERPRINT), embeddings(2))


@pytest.mark.reliability('fault', 'disk full while the dictionary cache is written')
def test_failed_write_leaves_the_old_file_and_no_rest(path, monkeypatch):
    write_embeddings(path, FINGERPRINT, embeddings(1))

    def fail(*_):
        raise OSError('disk full')

    monkeypatch.setattr(os, 'fsync', fail)
    with pytest.raises(OSError, match='disk full'):
        write_embeddings(path, FINGERPRINT, embeddings(2))
    assert torch.equal(read_embeddings(path, FINGERPRINT), embeddings(1))
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_folder_that_cannot_be_made_is_an_os_error(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError):
        write_embeddings(
            cache_file(tmp_path / 'file' / 'x', FINGERPRINT), FINGERPRINT, embeddings()
        )


@pytest.mark.reliability('fault', 'two runs that build one dictionary cache at once')
def test_readers_beside_two_writers_see_whole_files_alone(path):
    """Every file read is wholly of one writer."""
    # Files of two lengths: a head of one with the values of the other shows at once.
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
        # Threads left running would write through what later tests put in os.fsync.
        stop.set()
        for writer in writers:
            writer.join()
    assert not failures
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def write_for_ever(path):
    # Other tests of the process may have left a handler, which a fork takes along.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    value = 1.0
    while True:
        write_embeddings(path, FINGERPRINT, embeddings(value))
        value += 1


@pytest.mark.reliability(
    'fault', 'killed 20 times while the dictionary cache is written'
)
@pytest.mark.parametrize('kind', [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_writer_leaves_a_whole_file(path, kind):
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
def test_changed_values_of_the_right_fingerprint_are_nothing(path, change):
    write_embeddings(path, FINGERPRINT, embeddings())
    with safe_open(path, framework='pt') as file:
        metadata = file.metadata()
    changed = embeddings()
    changed[3, 5] = change
    save_file({'text_embeddings': changed}, path, metadata)
    assert read_embeddings(path, FINGERPRINT) is None
