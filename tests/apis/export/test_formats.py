import errno
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from mcdrl_common.written_files import OutputError
from mcdrl_mmseg.apis.export import formats
from mcdrl_mmseg.apis.export.agreement import fit_image
from mcdrl_mmseg.apis.export.deployable import DeployableSegmentor, ExportError
from mcdrl_mmseg.apis.export.exporting import export_model
from mcdrl_mmseg.apis.export.formats import FORMATS, require, size_multiple
from mcdrl_mmseg.apis.export.runtime import open_exported

TOLERANCE = 1e-4


@torch.no_grad()
def by_pytorch(model, pixels):
    return DeployableSegmentor(model)(torch.from_numpy(pixels)).numpy()


# 2 x 9 and 7 x 5 positions of 8 pixels: neither is the traced size or a square, and
# half of 35 positions is not a whole number.
@pytest.mark.parametrize('shape', [(1, 64, 64), (3, 64, 64), (2, 16, 72), (1, 56, 40)])
def test_onnx_agrees_with_pytorch_at_every_size_and_batch_size(
    exported, vit, new_pixels, shape
):
    pixels = new_pixels(*shape)
    found = open_exported(exported('onnx')).run(pixels)
    expected = by_pytorch(vit, pixels)
    assert found.shape == expected.shape
    assert expected.std() > 0.01
    assert np.abs(found - expected).max() < TOLERANCE


@pytest.mark.parametrize('file_format', ['torchscript', 'torch-export'])
@pytest.mark.parametrize('batch', [1, 3])
def test_torch_formats_agree_with_pytorch_at_every_batch_size(
    exported, resnet, new_pixels, file_format, batch
):
    pixels = new_pixels(batch, 64, 96)
    found = open_exported(exported(file_format)).run(pixels)
    assert found.shape == (batch, 2, 64, 96)
    assert np.abs(found - by_pytorch(resnet, pixels)).max() < TOLERANCE


def test_weights_in_channels_last_memory_are_saved_without_a_warning(
    new_model, new_pixels, tmp_path
):
    model = new_model('rn', backbone=dict(channels_last=True))
    path = tmp_path / 'model.pt2'
    with warnings.catch_warnings():
        warnings.simplefilter('error', UserWarning)
        export_model(model, path, 'torch-export', (64, 64))
    pixels = new_pixels(1, 64, 64)
    found = open_exported(path).run(pixels)
    assert np.abs(found - by_pytorch(model, pixels)).max() < TOLERANCE


def test_onnx_agrees_with_pytorch_on_real_images(exported, vit, data_root):
    import cv2

    paths = sorted((data_root / 'polypgen_c1' / 'images').iterdir())[:4]
    model = open_exported(exported('onnx'))
    for path in paths:
        pixels = fit_image(cv2.imread(str(path)), (128, 128))
        found, expected = model.run(pixels), by_pytorch(vit, pixels)
        assert np.abs(found - expected).max() < TOLERANCE, path


# Only the runtime can be imported, as on a machine without the other packages.
_ALONE = """
import importlib.abc, json, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {absent!r}:
            raise ImportError(f'{{name}} is absent here')

sys.meta_path.insert(0, Absent())
import numpy as np
pixels = np.load({pixels!r})
{code}
np.save({out!r}, logits)
"""
_ABSENT = ['mcdrl_mmseg', 'open_clip', 'mmseg', 'mmcv', 'mmengine', 'timm']
_CODE = {
    'onnx': """
import onnxruntime
session = onnxruntime.InferenceSession({path!r})
logits = session.run(None, {{'images': pixels}})[0]
texts = session.get_modelmeta().custom_metadata_map
assert json.loads(texts['mcdrl.classes']) == ['background', 'lesion']
""",
    'torchscript': """
import torch
extra = {{'mcdrl.json': ''}}
model = torch.jit.load({path!r}, _extra_files=extra)
logits = model(torch.from_numpy(pixels)).numpy()
assert json.loads(extra['mcdrl.json'])['classes'] == ['background', 'lesion']
""",
    'torch-export': """
import torch
extra = {{'mcdrl.json': ''}}
model = torch.export.load({path!r}, extra_files=extra).module()
logits = model(torch.from_numpy(pixels)).numpy()
assert json.loads(extra['mcdrl.json'])['classes'] == ['background', 'lesion']
""",
}


@pytest.mark.parametrize('file_format', list(FORMATS))
def test_exported_file_runs_without_this_package_mmseg_and_open_clip(
    file_format, exported, request, new_pixels, tmp_path
):
    pixels = new_pixels(1, 64, 96)
    np.save(tmp_path / 'pixels.npy', pixels)
    onnx = file_format == 'onnx'
    out = tmp_path / 'logits.npy'
    program = _ALONE.format(
        absent=[*_ABSENT, 'torch', 'onnx'] if onnx else _ABSENT,
        pixels=str(tmp_path / 'pixels.npy'),
        code=_CODE[file_format].format(path=str(exported(file_format))),
        out=str(out),
    )
    done = subprocess.run(
        [sys.executable, '-c', textwrap.dedent(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    model = request.getfixturevalue('vit' if onnx else 'resnet')
    assert np.abs(np.load(out) - by_pytorch(model, pixels)).max() < TOLERANCE


def test_onnx_file_names_its_variable_dimensions(exported):
    import onnx

    graph = onnx.load(exported('onnx')).graph
    sides = [
        [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    ]
    assert sides == [['batch', 3, 'height', 'width'], ['batch', 2, 'height', 'width']]


@pytest.mark.parametrize('file_format', list(FORMATS))
def test_images_that_are_already_normalised_are_refused(
    file_format, exported, new_pixels
):
    scaled = new_pixels(1, 64, 96).astype(np.float32) / 255
    with pytest.raises(Exception, match=r'(?i)uint8|dtype'):
        open_exported(exported(file_format)).run(scaled)


def test_torchscript_refuses_another_size_and_names_its_own(exported, new_pixels):
    with pytest.raises(Exception, match='images must be 64 x 96 pixels'):
        open_exported(exported('torchscript')).run(new_pixels(1, 64, 64))


def test_text_embeddings_that_only_losses_need_are_not_exported(exported, vit):
    import onnx

    shapes = [
        tuple(tensor.dims) for tensor in onnx.load(exported('onnx')).graph.initializer
    ]
    dictionary = vit.decode_head.dictionary
    assert tuple(dictionary.class_confounder_embeddings.shape) not in shapes


def test_exported_sort_orders_equal_values_as_pytorch_does(tmp_path):
    import onnxruntime

    class Sort(torch.nn.Module):
        def forward(self, x):
            return x.sort(dim=1, descending=True, stable=True).indices

    values = torch.tensor([[1.0, 3, 1, 3, 2, 1, 3, 2], [0, 0, 0, 0, 0, 0, 0, 1]])
    program = torch.export.export(Sort(), (values,))
    torch.onnx.export(
        program,
        dynamo=True,
        custom_translation_table={torch.ops.aten.sort.stable: formats._stable_sort()},
        verbose=False,
    ).save(tmp_path / 'sort.onnx')
    session = onnxruntime.InferenceSession(tmp_path / 'sort.onnx')
    (found,) = session.run(None, {session.get_inputs()[0].name: values.numpy()})
    assert found.tolist() == [[1, 3, 6, 4, 7, 0, 2, 5], [7, 0, 1, 2, 3, 4, 5, 6]]


def test_torchscript_with_a_variable_size_is_refused(resnet, tmp_path):
    module = DeployableSegmentor(resnet)
    with pytest.raises(ExportError, match='Leave out --dynamic'):
        FORMATS['torchscript'](module, (64, 64), 32, {}, tmp_path / 'm.pt')


def test_error_for_a_missing_package_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    with pytest.raises(ExportError, match=r"pip install 'mcdrl-mmseg\[export\]'"):
        require('onnx', 'onnxscript')


def test_sizes_are_multiples_of_the_patch_or_of_the_last_stride(vit, resnet):
    assert size_multiple(vit) == 8
    assert size_multiple(resnet) == 32


@pytest.mark.parametrize(('scale', 'multiple'), [(0.5, 16), (0.75, 32), (2, 4)])
def test_size_multiple_of_scaled_images_gives_a_whole_number_of_patches(
    new_model, scale, multiple
):
    """Patches of 8 pixels: 16 x 0.5, 32 x 0.75 and 4 x 2 are multiples of 8."""
    model = new_model('vit', backbone=dict(input_scale=scale))
    assert size_multiple(model) == multiple


@pytest.mark.reliability('fault', 'disk full while a model is exported')
@pytest.mark.parametrize('file_format', ['torchscript', 'torch-export'])
def test_a_full_disk_gives_an_error_that_names_the_file_and_leaves_no_file(
    resnet, tmp_path, monkeypatch, file_format
):
    def full(path, content):
        raise OSError(errno.ENOSPC, 'No space left on device')

    # Python writes the file: torch's own writers would end the process.
    monkeypatch.setattr(Path, 'write_bytes', full)
    path = tmp_path / f'm{formats.ENDINGS[file_format]}'
    with pytest.raises(OutputError, match=r'm\.pt2?: .*No space left on device'):
        export_model(resnet, path, file_format, (64, 64))
    assert list(tmp_path.iterdir()) == []
