#!/usr/bin/env bash
# ONNX's version converter shifts the output of a segmentation model, because the default of Resize changed.
#
# Expected: version_converter.convert_version gives a model that computes the same.
# Happens: up to operator set 10 Resize counted from the upper left corner ("asymmetric", and "floor" for nearest). Set
#   11 made pixel centres the default. The converter copies the node without adding the old mode as an attribute, so
#   that the new default applies: at a scale of 8, logits move by 3.5 output pixels, and a lesion's edge with them. The
#   checker and onnxruntime report no problem. From set 11 on nothing changes. Known: onnx's issue 8480, open.
# Versions: onnx 1.23.2, onnxruntime 1.32.0, NumPy 2.4.6.
# Why it matters: models of operator set 9 and 10 are converted for a newer runtime. Most segmentation networks end in
#   such a Resize, by 4 or 8: all masks are moved by some pixels, and nothing fails.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   the first of 64 output pixels that is lesion, threshold 0.5
#   set 10: 21
#   set 10, converted to 11: 24
#   set 10, converted to 20: 24
#   set 13: 24
#   set 13, converted to 20: 24
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, version_converter

SHAPE, LARGE = [1, 1, 1, 8], [1, 1, 1, 64]
edge = np.array([[[[0, 0, 0, 1, 1, 1, 1, 1]]]], np.float32)


def model(opset):
    """The upsampling at the end of a network, eight times as wide."""
    scales = helper.make_tensor('scales', TensorProto.FLOAT, [4], [1, 1, 1, 8])
    inputs = ['x', 'scales'] if opset == 10 else ['x', '', 'scales']
    graph = helper.make_graph(
        [helper.make_node('Resize', inputs, ['y'], mode='linear')],
        'upsampling',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, LARGE)],
        [scales],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)], ir_version=8)


def lesion_begins(built):
    onnx.checker.check_model(built, full_check=True)
    session = onnxruntime.InferenceSession(built.SerializeToString())
    return int((session.run(None, {'x': edge})[0].ravel() > 0.5).argmax())


old, new = model(10), model(13)
begins = {
    'set 10': lesion_begins(old),
    'set 10, converted to 11': lesion_begins(version_converter.convert_version(old, 11)),
    'set 10, converted to 20': lesion_begins(version_converter.convert_version(old, 20)),
    'set 13': lesion_begins(new),
    'set 13, converted to 20': lesion_begins(version_converter.convert_version(new, 20)),
}
print('the first of 64 output pixels that is lesion, threshold 0.5')
for name, pixel in begins.items():
    print(f'{name}: {pixel}')
assert begins['set 10'] == 21
assert begins['set 10, converted to 11'] == begins['set 10, converted to 20'] == 24
assert begins['set 13'] == begins['set 13, converted to 20'] == 24
PY
