import hashlib
import os
import pickle
import subprocess
import zipfile
from collections import OrderedDict
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader, load_checkpoint
from torch import nn
from torch._weights_only_unpickler import _get_allowed_globals

import mcdrl_mmseg.apis  # noqa: F401  (switches the guards on)
from mcdrl_mmseg import safe_loading
from mcdrl_mmseg.safe_loading import (
    CheckpointError,
    UnsafeCheckpointError,
    check_weights,
    load_tensors,
    load_url,
)

# Older torch has no list of additional classes that the safe loader may load.
has_list = pytest.mark.skipif(
    not safe_loading._SAFE_GLOBALS, reason='torch older than 2.6'
)


class Runs:
    """Runs a command when it is unpickled."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.system, (f'touch {self.place}',)


class LooksUp:
    """Pickles as a call of ``getattr``."""

    def __init__(self, owner, name):
        self.arguments = owner, name

    def __reduce__(self):
        return getattr, self.arguments


def save_zipped(content, path):
    torch.save(content, path)


def save_old(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def save_plain(content, path):
    path.write_bytes(pickle.dumps(content, protocol=2))


def checkpoint(**more) -> dict:
    """A checkpoint as MMEngine writes it during a training."""
    history = HistoryBuffer([1.0, 2.0], [1, 3])
    return dict(
        state_dict=OrderedDict(weight=torch.ones(2, 2), bias=torch.zeros(2)),
        optimizer=dict(state={0: dict(step=torch.tensor(3.0))}, param_groups=[{}]),
        message_hub=dict(
            log_scalars=OrderedDict(loss=history),
            runtime_info=OrderedDict(dice=np.float64(0.5), seed=np.uint32(7)),
        ),
        **more,
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'odd.pth'


@pytest.fixture(params=['2.6 or newer', 'older'])
def _any_torch(request, monkeypatch):
    """Both ways to load: that of torch 2.6 or newer and that of older torch."""
    if request.param == 'older':
        monkeypatch.setattr(safe_loading, '_SAFE_GLOBALS', False)


@pytest.mark.usefixtures('_any_torch')
@pytest.mark.parametrize('save', [save_zipped, save_old])
def test_checkpoints_of_mmengine_are_read(path, save):
    save(checkpoint(), path)
    content = load_tensors(path)
    assert content['state_dict']['weight'].tolist() == [[1, 1], [1, 1]]
    assert content['optimizer']['state'][0]['step'] == 3
    hub = content['message_hub']
    assert hub['log_scalars']['loss'].mean() == pytest.approx((1 + 2) / 4)
    assert hub['runtime_info'] == dict(dice=0.5, seed=7)


@pytest.mark.reliability('security', 'a checkpoint that runs a command when unpickled')
@pytest.mark.usefixtures('_any_torch')
@pytest.mark.parametrize('save', [save_zipped, save_old, save_plain])
def test_a_malicious_pickle_is_refused_by_name_and_not_run(tmp_path, path, save):
    save(checkpoint(meta=Runs(tmp_path / 'ran')), path)
    with pytest.raises(CheckpointError, match=r'odd\.pth') as caught:
        load_tensors(path)
    assert 'weights_only=False' not in str(caught.value)
    assert not (tmp_path / 'ran').exists()


@pytest.mark.reliability(
    'security', 'a checkpoint that reaches for a module by `getattr`'
)
@pytest.mark.usefixtures('_any_torch')
@pytest.mark.parametrize(
    'content',
    [
        LooksUp(np.ndarray, 'tofile'),
        LooksUp(HistoryBuffer, '__init__'),
        LooksUp(HistoryBuffer([1.0], [1]), '__dict__'),
        subprocess.Popen,
    ],
    ids=['method', 'private method', 'instance', 'class'],
)
def test_pickles_that_call_getattr_or_hold_other_classes_are_refused(path, content):
    torch.save(checkpoint(meta=content), path)
    with pytest.raises(UnsafeCheckpointError, match=r'odd\.pth'):
        load_tensors(path)


@contextmanager
def mmengines_list():
    """torch's list as MMEngine leaves it: with ``getattr``, not our replacement.

    Of two entries with one name torch uses either, in no fixed order.
    """
    before = torch.serialization.get_safe_globals()
    others = [
        g for g in before if not isinstance(g, tuple) or g[1] != 'builtins.getattr'
    ]
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals([*others, getattr])
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


@has_list
def test_getattr_is_refused_even_if_mmengine_allows_it(path):
    torch.save(checkpoint(meta=LooksUp(np.ndarray, 'tofile')), path)
    with mmengines_list():
        assert torch.load(path, weights_only=True)['meta'] is np.ndarray.tofile
        with pytest.raises(UnsafeCheckpointError, match=r'odd\.pth'):
            load_tensors(path)
        assert getattr in torch.serialization.get_safe_globals()


class Mine:
    """A class of the user."""


@has_list
def test_a_class_that_the_user_allows_is_read(path):
    torch.save(checkpoint(meta=Mine()), path)
    with pytest.raises(UnsafeCheckpointError, match='Mine'):
        load_tensors(path)
    with torch.serialization.safe_globals([Mine]):
        assert isinstance(load_tensors(path)['meta'], Mine)


@pytest.mark.reliability('security', "a malicious checkpoint through MMEngine's loader")
def test_the_loaders_of_mmengine_refuse_what_load_tensors_refuses(tmp_path, path):
    model = nn.Linear(2, 2)
    torch.save(checkpoint(), path)
    load_checkpoint(model, str(path))
    assert model.weight.tolist() == [[1, 1], [1, 1]]
    torch.save(checkpoint(meta=Runs(tmp_path / 'ran')), path)
    for load in (
        lambda: load_checkpoint(model, str(path)),
        lambda: CheckpointLoader.load_checkpoint(str(path), map_location='cpu'),
    ):
        with pytest.raises(UnsafeCheckpointError, match=r'odd\.pth.*system'):
            load()
    assert not (tmp_path / 'ran').exists()
    with pytest.raises(FileNotFoundError, match=r'gone\.pth'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'gone.pth'))


@pytest.fixture
def published(tmp_path, monkeypatch):
    """``published(content, name)`` returns the URL of a file; it needs no server."""
    folder = tmp_path / 'server'
    folder.mkdir()
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'home'))

    def publish(content, name: str) -> str:
        torch.save(content, folder / 'file')
        digest = hashlib.sha256((folder / 'file').read_bytes()).hexdigest()
        path = folder / name.format(digest=digest[:8])
        (folder / 'file').rename(path)
        return path.as_uri()

    return publish


def test_published_weights_are_downloaded_once_and_then_read_from_the_cache(
    published, tmp_path
):
    url = published(checkpoint(), 'net-{digest}.pth')
    for _ in range(2):
        assert load_url(url, progress=False)['state_dict']['weight'].sum() == 4
        # The second time from the cache.
        for file in (tmp_path / 'server').iterdir():
            file.unlink()


@pytest.mark.reliability('security', 'downloaded weights whose hash is not the named')
def test_published_weights_with_another_hash_are_refused_and_deleted(
    published, tmp_path
):
    url = published(checkpoint(), 'net-00000000.pth')
    with pytest.raises(CheckpointError, match=r'net-00000000\.pth was discarded.*hash'):
        load_url(url, progress=False)
    assert not list((tmp_path / 'home').rglob('*.pth'))


@pytest.mark.reliability('security', 'downloaded weights that run a command')
@pytest.mark.parametrize('name', ['net-{digest}.pth', 'resnet50_v1c.pth'])
def test_published_weights_that_run_a_command_are_refused(published, tmp_path, name):
    url = published(checkpoint(meta=Runs(tmp_path / 'ran')), name)
    from mmengine.runner import checkpoint as mmengine_checkpoint

    with pytest.raises(UnsafeCheckpointError, match='system'):
        mmengine_checkpoint.load_url(url, model_dir=None, progress=False)
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('kind', [RuntimeError, ValueError, pickle.UnpicklingError])
def test_the_advice_of_torch_to_disable_safe_loading_is_not_shown(
    path, monkeypatch, kind
):
    torch.save(checkpoint(), path)

    def load(*_, **__):
        raise kind('Cannot do this. Re-run with `weights_only=False` if you trust it.')

    monkeypatch.setattr(torch, 'load', load)
    with pytest.raises(CheckpointError, match=r'odd\.pth') as caught:
        load_tensors(path)
    assert 'weights_only' not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        (torch.full((2,), 1e300, dtype=torch.float64), 'NaN or infinite'),
        (torch.ones(2).to_sparse(), 'sparse'),
        (torch.ones(2, device='meta'), 'sparse or have no values'),
    ],
    ids=['overflows', 'sparse', 'meta'],
)
def test_weights_that_are_not_finite_and_dense_in_the_dtype_of_the_model_are_refused(
    value, message
):
    with pytest.raises(CheckpointError, match=f'odd: w and 0 more weights.*{message}'):
        check_weights({'w': torch.zeros(2)}, {'w': value}, 'odd')
    check_weights({'w': torch.zeros(2)}, {'w': torch.ones(2).double()}, 'odd')


@pytest.mark.reliability('security', 'a checkpoint that asks for any amount of memory')
def test_a_pickle_that_allocates_any_amount_of_memory_is_refused(path):
    # bytearray(10), which torch allows with any number.
    pickled = b'\x80\x02cbuiltins\nbytearray\nK\x0a\x85R.'
    torch.save({}, path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w') as archive:
        for name, content in parts.items():
            archive.writestr(name, pickled if name.endswith('.pkl') else content)
    with pytest.raises(UnsafeCheckpointError, match='bytearray'):
        load_tensors(path)
    assert 'builtins.bytearray' in _get_allowed_globals()


@pytest.mark.reliability('security', 'one number that stands for any number of weights')
def test_expanded_weights_are_checked_without_expanding_them(monkeypatch):
    looked_at = []
    original = torch.Tensor.isfinite
    monkeypatch.setattr(
        torch.Tensor,
        'isfinite',
        lambda value: looked_at.append(value.numel()) or original(value),
    )
    check_weights({'w': torch.zeros(2)}, {'w': torch.ones(1).expand(10**3, 10**3)}, 'a')
    assert max(looked_at) == 1
    odd = torch.full((1,), torch.nan).expand(10**3, 10**3)
    with pytest.raises(CheckpointError, match='NaN or infinite'):
        check_weights({'w': torch.zeros(2)}, {'w': odd}, 'a')
