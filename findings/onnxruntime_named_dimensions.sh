#!/usr/bin/env bash
# onnxruntime never checks that two dimensions with the same name have the same size.
#
# Expected: a model whose inputs are both declared (batch, h, w) refuses an image of 4 x 6
#   with a map of 1 x 6; a wrong fixed size is refused, after all.
# Happens: names of dimensions are not compared at run time. The map is broadcast and the model returns a result. onnx's
#   own shape inference trusts the name.
# Versions: onnxruntime 1.32.0, onnx 1.23.2, NumPy 2.4.6.
# Why it matters: with dynamic axes an image and a mask, a similarity map or a batch of
#   another size pass each other unnoticed as soon as a size is 1. Check shapes in the
#   program that calls the model, or export with fixed sizes.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: an error, sizes 4 and 1 of dimension "h"
#   happened, named dimensions: output of shape (1, 4, 6)
#   fixed dimensions: InvalidArgument
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

onnxruntime.set_default_logger_severity(4)


def session(shape):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node('Mul', ['image', 'map'], ['y'])],
        'weigh',
        [value(name, TensorProto.FLOAT, shape) for name in ('image', 'map')],
        [value('y', TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=10
    )
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=['CPUExecutionProvider']
    )


feeds = {
    'image': np.ones((1, 4, 6), np.float32),
    'map': np.arange(6, dtype=np.float32).reshape(1, 1, 6),
}
print('expected: an error, sizes 4 and 1 of dimension "h"')
(got,) = session(['batch', 'h', 'w']).run(None, feeds)
print('happened, named dimensions: output of shape', got.shape)
assert got.shape == (1, 4, 6)
try:
    session([1, 4, 6]).run(None, feeds)
except Exception as error:
    print('fixed dimensions:', type(error).__name__)
else:
    raise SystemExit('fixed dimensions are no longer checked')
PY
