import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from shared_imports import printed_after

from mcdrl_mmseg import compat

# Loads compat.py alone: importing the package would already do its work.
LOAD_COMPAT = f"""
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location('compat', {compat.__file__!r})
compat = importlib.util.module_from_spec(spec)
spec.loader.exec_module(compat)
"""


# Programs that use it when nothing was done before, each in its own process.
PROGRAMS = {
    'extension loads': """
compat._extension_loads = lambda folder: True
declared = compat.declare_torchvision_operators()
import torch
print(json.dumps([declared, hasattr(torch.ops.torchvision, 'nms')]))
""",
    'no torchvision': """
importlib.util.find_spec = lambda name: None
print(json.dumps(compat.declare_torchvision_operators()))
""",
    'twice': """
compat._extension_loads = lambda folder: False
first = compat.declare_torchvision_operators()
second = compat.declare_torchvision_operators()
import torch
print(json.dumps([first, second, str(torch.ops.torchvision.nms.default._schema)]))
""",
    'torchvision': """
compat.declare_torchvision_operators()
import torchvision.ops
print(json.dumps(hasattr(torchvision.ops, 'nms')))
""",
    'mmpretrain': """
compat.declare_torchvision_operators()
left_out = compat.leave_out_multimodal_models()
if importlib.util.find_spec('mmpretrain') and importlib.util.find_spec('transformers'):
    import mmpretrain.models
    built = hasattr(mmpretrain.models, 'VisionTransformer')
    print(json.dumps([left_out, built]))
else:
    print('null')
""",
}


@pytest.fixture(scope='module')
def printed() -> dict:
    return printed_after(LOAD_COMPAT, PROGRAMS)


def test_nothing_is_declared_once_torchvision_is_imported():
    import torchvision  # noqa: F401

    assert compat.declare_torchvision_operators() == ()


def test_nothing_is_declared_if_the_extension_loads(printed):
    declared, known = printed['extension loads']
    assert declared == []
    assert not known


def test_nothing_is_declared_without_torchvision(printed):
    assert printed['no torchvision'] == []


def test_operators_of_an_unloadable_extension_are_declared_once(printed):
    first, second, signature = printed['twice']
    assert first == ['torchvision::nms', 'torchvision::qnms']
    assert second == []
    assert signature == (
        'torchvision::nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor'
    )


def test_torchvision_can_be_imported_after_the_operators_are_declared(printed):
    assert printed['torchvision']


def test_a_missing_or_invalid_extension_does_not_count_as_loading(tmp_path):
    assert not compat._extension_loads(tmp_path)
    (tmp_path / '_C.so').write_bytes(b'not a shared library')
    assert not compat._extension_loads(tmp_path)


def loaded_safely(content):
    file = io.BytesIO()
    torch.save(content, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def message_hub() -> dict:
    """What MMEngine stores beside the weights of a checkpoint."""
    history = HistoryBuffer([1.0, 2.0], [1, 3])
    scalars = {'dice': np.float64(0.5), 'iter': np.int64(3), 'ok': np.bool_(True)}
    return {'loss': history, **scalars}


@pytest.fixture
def nothing_allowed():
    if not hasattr(torch.serialization, 'get_safe_globals'):
        pytest.skip('torch before 2.6 loads checkpoints without a list of classes')
    known = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield
    torch.serialization.add_safe_globals(known)


def test_safe_loading_refuses_mmengine_checkpoints_unless_allowed(nothing_allowed):
    with pytest.raises(pickle.UnpicklingError):
        loaded_safely(message_hub())


def test_safe_loading_reads_mmengine_checkpoints_once_allowed(nothing_allowed):
    allowed = compat.allow_mmengine_checkpoints()
    assert 'mmengine.logging.history_buffer.HistoryBuffer' in allowed
    content = loaded_safely(message_hub())
    assert content['loss'].data[0].tolist() == [1.0, 2.0]
    assert content['loss'].data[1].tolist() == [1, 3]
    assert content['loss'].mean() == pytest.approx((1 + 2) / 4)
    assert content['dice'] == 0.5
    assert content['iter'] == 3
    assert content['ok']


def test_allowing_mmengine_checkpoints_twice_adds_nothing():
    compat.allow_mmengine_checkpoints()
    assert compat.allow_mmengine_checkpoints() == ()


class LooksUp:
    """Pickles as a call of ``getattr``."""

    def __init__(self, owner, name):
        self.arguments = (owner, name)

    def __reduce__(self):
        return getattr, self.arguments


@pytest.mark.parametrize(
    'content',
    [
        subprocess.Popen,
        LooksUp(np.ndarray, 'tofile'),
        LooksUp(HistoryBuffer, '__init__'),
        LooksUp(HistoryBuffer([1.0], [1]), '__dict__'),
    ],
    ids=['other class', 'other method', 'private method', 'instance'],
)
def test_safe_loading_still_refuses_everything_else(nothing_allowed, content):
    compat.allow_mmengine_checkpoints()
    with pytest.raises(pickle.UnpicklingError):
        loaded_safely({'object': content})


def test_mmpretrain_can_be_imported_with_transformers_5(printed):
    pytest.importorskip('mmpretrain')
    pytest.importorskip('transformers', reason='the extra [hf] is not installed')
    left_out, built = printed['mmpretrain']
    new = compat._transformers_is_new()
    assert (left_out, built) == (new, True)


def test_multimodal_models_are_kept_if_mmpretrain_is_already_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmpretrain', object())
    monkeypatch.setattr(compat, '_transformers_is_new', lambda: True)
    assert not compat.leave_out_multimodal_models()
