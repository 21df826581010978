import pytest

from mcdrl_common.written_files import OutputError
from mcdrl_mmseg.apis.export import exporting
from mcdrl_mmseg.apis.export.deployable import ExportError
from mcdrl_mmseg.apis.export.exporting import export_model
from mcdrl_mmseg.apis.export.runtime import open_exported


@pytest.fixture
def stand_in(monkeypatch):
    """Writes a word in place of a model; ``stand_in(gap)`` sets the difference."""

    def make(gap: float) -> None:
        def write(module, size, multiple, description, path):
            path.write_text('model')

        for name in exporting.FORMATS:
            monkeypatch.setitem(exporting.FORMATS, name, write)
        monkeypatch.setattr(exporting, 'open_exported', lambda path: None)
        monkeypatch.setattr(exporting, 'largest_difference', lambda *_: gap)

    return make


def test_exported_file_is_written_and_compared_with_the_model(vit, tmp_path, stand_in):
    stand_in(5e-5)
    found = export_model(vit, tmp_path / 'm.onnx', 'onnx', (64, 64), dynamic=True)
    assert found.path.read_text() == 'model'
    assert found.difference == 5e-5
    # One image of noise, at the traced size and at two that are not multiples of it.
    assert found.num_images == 3


@pytest.mark.parametrize('gap', [2e-4, float('nan')])
def test_exported_file_that_differs_from_the_model_is_not_kept(
    vit, tmp_path, stand_in, gap
):
    stand_in(gap)
    with pytest.raises(ExportError, match='differ from those of PyTorch by'):
        export_model(vit, tmp_path / 'm.onnx', 'onnx', (64, 64))
    assert list(tmp_path.iterdir()) == []


def test_existing_file_is_replaced_only_on_request_and_if_exported_here(
    vit, tmp_path, stand_in
):
    stand_in(0.0)
    path = tmp_path / 'm.onnx'
    path.write_text('mine')
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r'm\.onnx, not written here'):
            export_model(vit, path, 'onnx', (64, 64), overwrite=overwrite)
    assert path.read_text() == 'mine'
    path.unlink()
    export_model(vit, path, 'onnx', (64, 64))
    with pytest.raises(OutputError, match=r'm\.onnx.*--overwrite'):
        export_model(vit, path, 'onnx', (64, 64))
    export_model(vit, path, 'onnx', (64, 64), overwrite=True)
    assert path.read_text() == 'model'


def test_failed_replacement_keeps_the_old_file(vit, tmp_path, stand_in):
    path = tmp_path / 'm.onnx'
    stand_in(0.0)
    export_model(vit, path, 'onnx', (64, 64))
    stand_in(1.0)
    with pytest.raises(ExportError, match='not kept'):
        export_model(vit, path, 'onnx', (64, 64), overwrite=True)
    assert [p.read_text() for p in tmp_path.glob('[!.]*')] == ['model']


@pytest.mark.parametrize(
    ('name', 'options', 'message'),
    [
        ('m.pt', dict(file_format='onnx'), 'format onnx must end in .onnx'),
        (
            'm.pt',
            dict(file_format='torchscript', int8=True),
            '--int8 works with --format onnx',
        ),
        (
            'm.onnx',
            dict(file_format='onnx', size=(60, 64), dynamic=True),
            r'multiples of 8 \(--dynamic\)',
        ),
        ('m.onnx', dict(file_format='onnx', size=(0, 64)), 'must be positive'),
    ],
)
def test_options_that_do_not_fit_are_refused_and_nothing_is_written(
    vit, tmp_path, name, options, message
):
    options = dict(size=(64, 64)) | options
    with pytest.raises(ExportError, match=message):
        export_model(vit, tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


def test_mcdrl_is_exported_with_int8_weights(resnet, tmp_path):
    made = export_model(resnet, tmp_path / 'a.onnx', 'onnx', (64, 96), int8=True)
    assert 1e-4 < made.difference < 10
    assert open_exported(made.path).description['int8'] is True
