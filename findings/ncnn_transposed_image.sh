#!/usr/bin/env bash
# ncnn ignores NumPy's transpose: it reads the image in the old memory order, which mixes the colours.
#
# Expected: ncnn.Mat(image.transpose(2, 0, 1)), height x width x colour to colour x height x width, holds what
#   the array holds, as with torch, onnxruntime and MNN.
# Happens: a transposed array is a view of the same memory, and its strides are ignored: the new shape is applied to the
#   old order of bytes. The shape is correct, but every channel is a mixture of three. Of a reddish image (200, 50, 50)
#   a network that takes the mean of each channel gives (101.6, 99.2, 99.2). No error, no warning; the help of Mat does
#   not mention it (known, ncnn's issue 3082). np.ascontiguousarray() before is right.
# Versions: ncnn 1.0.20261020, NumPy 2.4.6.
# Why it matters: this is the usual line before inference on a phone or an endoscope's own computer. The masks
#   have the right size and are those of another image: three small ones beside each other, in grey.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   mean of each channel, and whether the input came back as it was; expected: 200 50 50 True
#   copied: 200.0 50.0 50.0 True
#   transposed: 101.6 99.2 99.2 False
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 ncnn==1.0.20261020
cat > mean.param <<'PARAM'
7767517
2 2
Input input 0 1 image
Pooling mean 1 1 image mean 0=1 4=1
PARAM
touch mean.bin
venv/bin/python -W ignore - <<'PY'
import ncnn
import numpy as np

network = ncnn.Net()
network.load_param('mean.param')
network.load_model('mean.bin')


def seen(name, array):
    """What the network sees: the mean of each channel."""
    extractor = network.create_extractor()
    matrix = ncnn.Mat(array)
    extractor.input('image', matrix)
    code, result = extractor.extract('mean')
    assert code == 0 and np.array(matrix).shape == array.shape == (3, 8, 8)
    means = [round(float(value), 1) for value in np.array(result)]
    same = bool(np.array_equal(np.array(matrix), array))
    print(f'{name}:', *means, same)
    return means, same


image = np.empty((8, 8, 3), np.float32)
image[:] = (200, 50, 50)
transposed = image.transpose(2, 0, 1)
print('mean of each channel, and whether the input came back as it was; expected: 200 50 50 True')
assert seen('copied', np.ascontiguousarray(transposed)) == ([200, 50, 50], True)
assert seen('transposed', transposed) == ([101.6, 99.2, 99.2], False)
PY
