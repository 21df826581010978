import pytest
import torch

from mcdrl_mmseg.apis.export.deployable import ExportError
from mcdrl_mmseg.apis.export.runtime import open_exported


@pytest.mark.parametrize('file_format', ['onnx', 'torchscript', 'torch-export'])
def test_exported_file_holds_its_description(exported, file_format):
    found = open_exported(exported(file_format)).description
    assert found['channel_order'] == 'RGB'
    assert found['height'] == 64


def test_absent_file_and_unknown_ending_are_named_in_the_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'gone\.onnx'):
        open_exported(tmp_path / 'gone.onnx')
    (tmp_path / 'model.bin').touch()
    with pytest.raises(ValueError, match=r'model\.bin must end in one of \.onnx'):
        open_exported(tmp_path / 'model.bin')


@pytest.mark.parametrize('ending', ['.pt', '.pt2'])
def test_a_renamed_checkpoint_is_not_accepted_as_an_exported_file(tmp_path, ending):
    path = tmp_path / f'model{ending}'
    torch.save({'state_dict': {}}, path)
    with pytest.raises(ExportError, match=r'model\.pt2?: torch cannot load it'):
        open_exported(path)


@pytest.mark.parametrize('file_format', ['onnx', 'torchscript'])
def test_a_file_of_another_program_is_refused(exported, tmp_path, file_format):
    if file_format == 'onnx':
        onnx = pytest.importorskip('onnx')
        model = onnx.load(exported(file_format))
        del model.metadata_props[:]
        path = tmp_path / 'other.onnx'
        onnx.save(model, path)
    else:
        path = tmp_path / 'other.pt'
        torch.jit.save(torch.jit.script(torch.nn.Identity()), path)
    with pytest.raises(ExportError, match=r'other\..* has no height'):
        open_exported(path)
