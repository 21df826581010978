#!/usr/bin/env bash
# onnxruntime reads a big-endian array as if it were little-endian.
#
# Expected: the array is converted, or refused, as a float64 array is for a float32 input.
# Happens: the type counts as float32 and the bytes are read without conversion: an identity model gives 4.6e-41 for
#   1.0. No error, no warning.
# Versions: onnxruntime 1.32.0, onnx 1.23.2, NumPy 2.4.6.
# Why it matters: big-endian arrays come straight out of NIfTI and FITS files, TIFF files of
#   scanners and DICOM's big-endian syntax. In PyTorch such an array is an error; the
#   exported model of the same network predicts background everywhere.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: [1.0, 2.0] or an error
#   happened: [4.600602988224807e-41, 8.96831017167883e-44]
#   float64: InvalidArgument
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

value = helper.make_tensor_value_info
graph = helper.make_graph(
    [helper.make_node('Identity', ['x'], ['y'])],
    'identity',
    [value('x', TensorProto.FLOAT, [2])],
    [value('y', TensorProto.FLOAT, [2])],
)
model = helper.make_model(
    graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=10
)
session = onnxruntime.InferenceSession(
    model.SerializeToString(), providers=['CPUExecutionProvider']
)
big = np.array([1, 2], '>f4')
(native,) = session.run(None, {'x': big.astype(np.float32)})
(got,) = session.run(None, {'x': big})
print('expected:', native.tolist(), 'or an error')
print('happened:', got.tolist())
assert native.tolist() == [1.0, 2.0]
assert np.array_equal(got, big.view('<f4')) and (np.abs(got) < 1e-30).all()
try:
    session.run(None, {'x': big.astype(np.float64)})
except Exception as error:
    print('float64:', type(error).__name__)
else:
    raise SystemExit('float64 is taken now')
PY
