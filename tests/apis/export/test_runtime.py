import pytest

from mcdrl_mmseg.apis.export.runtime import open_exported


@pytest.mark.parametrize('file_format', ['onnx', 'torchscript', 'torch-export'])
def test_file_says_what_it_is(exported, file_format):
    found = open_exported(exported(file_format)).description
    assert found['channel_order'] == 'RGB'
    assert found['height'] == 64


def test_absent_file_and_unknown_ending_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'gone\.onnx'):
        open_exported(tmp_path / 'gone.onnx')
    (tmp_path / 'model.bin').touch()
    with pytest.raises(ValueError, match=r'model\.bin does not end in \.onnx'):
        open_exported(tmp_path / 'model.bin')
