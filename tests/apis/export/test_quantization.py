import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from mcdrl_mmseg.apis.export.quantization import quantize


def test_weights_of_matrix_products_become_int8_and_others_stay_float(tmp_path):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(16, 4)).astype(np.float32)
    kernel = rng.normal(size=(1, 1, 1, 1)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node('Conv', ['x', 'kernel'], ['y']),
            helper.make_node('MatMul', ['y', 'weight'], ['z']),
        ],
        'graph',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, 1, 8, 16])],
        [helper.make_tensor_value_info('z', TensorProto.FLOAT, [1, 1, 8, 4])],
        [
            numpy_helper.from_array(weight, 'weight'),
            numpy_helper.from_array(kernel, 'kernel'),
        ],
    )
    opset = [helper.make_opsetid('', 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    helper.set_model_props(model, {'mcdrl.width': '16'})
    source, target = tmp_path / 'plain.onnx', tmp_path / 'small.onnx'
    onnx.save(model, source)
    quantize(source, target)

    found = onnx.load(target)
    types = {t.name: t.data_type for t in found.graph.initializer}
    assert types['kernel'] == TensorProto.FLOAT
    assert types['weight_quantized'] == TensorProto.INT8
    assert 'weight' not in types
    assert 'mcdrl.width' in [entry.key for entry in found.metadata_props]
    x = rng.normal(size=(1, 1, 8, 16)).astype(np.float32)
    (z,) = onnxruntime.InferenceSession(target).run(None, {'x': x})
    exact = x * kernel.item() @ weight
    gap = np.abs(z - exact).max()
    # A weight has six bits and a sign, an input eight bits; sums are over 16 terms.
    assert 0 < gap < 0.05 * np.abs(exact).max()


def test_vector_products_stay_float_beside_int8_matrix_products(tmp_path):
    # As in MCDRL's attention, where its norm is part of the products.
    rng = np.random.default_rng(1)
    weight = rng.normal(size=(16, 4)).astype(np.float32)
    vector = rng.normal(size=4).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node('MatMul', ['x', 'weight'], ['y'], name='matrix'),
            helper.make_node('MatMul', ['y', 'vector'], ['z'], name='vector'),
        ],
        'graph',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, [8, 16])],
        [helper.make_tensor_value_info('z', TensorProto.FLOAT, [8])],
        [
            numpy_helper.from_array(weight, 'weight'),
            numpy_helper.from_array(vector, 'vector'),
        ],
    )
    opset = [helper.make_opsetid('', 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    source, target = tmp_path / 'plain.onnx', tmp_path / 'small.onnx'
    onnx.save(model, source)
    quantize(source, target)

    types = {t.name: t.data_type for t in onnx.load(target).graph.initializer}
    assert types['weight_quantized'] == TensorProto.INT8
    assert types['vector'] == TensorProto.FLOAT
    x = rng.normal(size=(8, 16)).astype(np.float32)
    (z,) = onnxruntime.InferenceSession(target).run(None, {'x': x})
    exact = x @ weight @ vector
    assert np.abs(z - exact).max() < 0.05 * np.abs(exact).max()
