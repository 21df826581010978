import numpy as np
import pytest

from mcdrl_mmseg.apis.export.agreement import trial_sizes
from mcdrl_mmseg.apis.export.deployable import ExportError
from mcdrl_mmseg.apis.export.metadata import to_strings
from mcdrl_mmseg.apis.export.runtime import open_exported


@pytest.mark.parametrize(
    ('size', 'multiple', 'expected'),
    [
        ((224, 224), None, [(224, 224)]),
        ((224, 224), 32, [(224, 224), (256, 320), (192, 192)]),
        ((96, 96), 32, [(96, 96), (128, 224), (64, 64)]),
        ((64, 64), 32, [(64, 64), (96, 160)]),
    ],
)
def test_sizes_of_the_comparison_are_not_multiples_of_the_traced_size(
    size, multiple, expected
):
    assert trial_sizes(size, multiple) == expected
    for height, width in expected[1:]:
        assert height % size[0]
        assert width % size[1] and width % (size[1] + multiple)


def write_cast(path, height, width):
    """Write an ONNX file like an exported one, whose logits are the pixels."""
    from onnx import TensorProto, helper, save

    images, logits = (
        helper.make_tensor_value_info(name, kind, ['batch', 3, height, width])
        for name, kind in (('images', TensorProto.UINT8), ('logits', TensorProto.FLOAT))
    )
    cast = helper.make_node('Cast', ['images'], ['logits'], to=TensorProto.FLOAT)
    graph = helper.make_graph([cast], 'cast', [images], [logits])
    opset = helper.make_opsetid('', 18)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    helper.set_model_props(model, to_strings(dict(height=height, width=width)))
    save(model, path)


@pytest.mark.reliability('bad input', 'images or files that onnxruntime refuses')
def test_errors_of_onnxruntime_become_export_errors(tmp_path):
    path = tmp_path / 'model.onnx'
    write_cast(path, 64, 64)
    exported = open_exported(path)
    assert exported.run(np.ones((1, 3, 64, 64), np.uint8)).sum() == 3 * 64 * 64
    with pytest.raises(
        ExportError, match=r'cannot run the model on 1 x 3 x 96 x 64 uint8: '
    ):
        exported.run(np.zeros((1, 3, 96, 64), np.uint8))
    with pytest.raises(ExportError, match=r'cannot run the model on .* float32: '):
        exported.run(np.zeros((1, 3, 64, 64), np.float32))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ExportError, match=r'model\.onnx: onnxruntime cannot load it: '):
        open_exported(path)
