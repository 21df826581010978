#!/usr/bin/env bash
# SimpleITK casts constants to the pixel type: mask >= 0.5 is true everywhere for a 0/1 mask of uint8.
#
# Expected: mask >= 0.5 is the lesion, as in NumPy, and half of an image of uint8 is refused or of floats.
# Happens: a constant takes the type of the pixels before anything is computed. 0.5 is 0: every pixel is at least that,
#   none is below it, and an image times 0.5 is black. -1 is 255: nothing is above it. 257 is 1. BinaryThreshold(mask,
#   0.5) gives the whole image as well. Division is right, and so are images of floats. No message; the help of the
#   operators does not mention it.
# Known: SimpleITK's pull request 2728 (open) for some of the operators.
# Versions: SimpleITK 2.5.7, NumPy 2.4.6.
# Why it matters: masks are thresholded at 0.5 after resampling, and two are averaged by 0.5 * a + 0.5 * b. On float
#   masks this works; on the same mask read from a file of uint8 all is lesion, or nothing.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   of the labels 0 1 2 3: NumPy, SimpleITK on floats, SimpleITK on uint8
#   x >= 0.5: [0, 1, 1, 1] [0, 1, 1, 1] [1, 1, 1, 1]
#   x < 0.5: [1, 0, 0, 0] [1, 0, 0, 0] [0, 0, 0, 0]
#   x >= 1.5: [0, 0, 1, 1] [0, 0, 1, 1] [0, 1, 1, 1]
#   x > -1: [1, 1, 1, 1] [1, 1, 1, 1] [0, 0, 0, 0]
#   x == 257: [0, 0, 0, 0] [0, 0, 0, 0] [0, 1, 0, 0]
#   x * 0.5: [0.0, 0.5, 1.0, 1.5] [0.0, 0.5, 1.0, 1.5] [0, 0, 0, 0]
#   x / 2: [0.0, 0.5, 1.0, 1.5] [0.0, 0.5, 1.0, 1.5] [0.0, 0.5, 1.0, 1.5]
#   BinaryThreshold(x, 0.5, 3): floats [0, 1, 1, 1], uint8 [1, 1, 1, 1]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 SimpleITK==2.5.7
venv/bin/python - <<'PY'
import numpy as np
import SimpleITK as sitk

LABELS = np.array([[0, 1, 2, 3]], np.uint8)
CASES = {
    'x >= 0.5': lambda x: x >= 0.5,
    'x < 0.5': lambda x: x < 0.5,
    'x >= 1.5': lambda x: x >= 1.5,
    'x > -1': lambda x: x > -1,
    'x == 257': lambda x: x == 257,
    'x * 0.5': lambda x: x * 0.5,
    'x / 2': lambda x: x / 2,
}


def values(image):
    array = np.asarray(image) if isinstance(image, np.ndarray) else sitk.GetArrayFromImage(image)
    return (array.astype(np.uint8) if array.dtype == bool else array).ravel().tolist()


integers = sitk.GetImageFromArray(LABELS)
floats = sitk.Cast(integers, sitk.sitkFloat32)
print('of the labels 0 1 2 3: NumPy, SimpleITK on floats, SimpleITK on uint8')
for name, compute in CASES.items():
    expected, on_floats, on_integers = (values(compute(x)) for x in (LABELS, floats, integers))
    print(f'{name}:', expected, on_floats, on_integers)
    assert expected == on_floats
    assert (expected == on_integers) == (name == 'x / 2')
assert values(integers >= 0.5) == [1, 1, 1, 1] and values(integers < 0.5) == [0, 0, 0, 0]
assert values(integers > -1) == values(integers * 0.5) == [0, 0, 0, 0]
cut = [values(sitk.BinaryThreshold(x, 0.5, 3)) for x in (floats, integers)]
print(f'BinaryThreshold(x, 0.5, 3): floats {cut[0]}, uint8 {cut[1]}')
assert cut == [[0, 1, 1, 1], [1, 1, 1, 1]]
PY
