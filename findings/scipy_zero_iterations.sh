#!/usr/bin/env bash
# With zero iterations SciPy dilates a mask to the whole image.
#
# Expected: zero iterations change nothing, as with OpenCV.
# Happens: "less than 1" stands for "until nothing changes": dilation gives the whole image, and erosion, opening and
#   closing an empty mask. The pages of the functions say so, under the parameter, but not that an opening with 1 and 2
#   keeps the mask and with 0 removes it.
# Versions: SciPy 1.17.1, OpenCV 5.0.0 (headless), NumPy 2.4.6.
# Why it matters: a margin in millimetres becomes iterations by int(margin / spacing). At the hospital
#   with the coarse pixels that is 0: there the margin is the whole image, or nothing is left.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected of zero iterations: the mask of 64 pixels
#   dilation: 2, 1 and 0 iterations [144, 100, 400], OpenCV with 0 64
#   erosion: 2, 1 and 0 iterations [16, 36, 0], OpenCV with 0 64
#   opening: 2, 1 and 0 iterations [64, 64, 0], OpenCV with 0 64
#   closing: 2, 1 and 0 iterations [64, 64, 0], OpenCV with 0 64
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 opencv-python-headless==5.0.0.93
venv/bin/python -W ignore - <<'PY'
import cv2
import numpy as np
from scipy import ndimage

mask = np.zeros((20, 20), bool)
mask[6:14, 6:14] = True
kernel = np.ones((3, 3), np.uint8)
SCIPY = dict(
    dilation=ndimage.binary_dilation, erosion=ndimage.binary_erosion, opening=ndimage.binary_opening,
    closing=ndimage.binary_closing,
)
OPENCV = dict(
    dilation=cv2.MORPH_DILATE, erosion=cv2.MORPH_ERODE, opening=cv2.MORPH_OPEN, closing=cv2.MORPH_CLOSE
)
print('expected of zero iterations: the mask of', int(mask.sum()), 'pixels')
for name, operation in SCIPY.items():
    counts = [int(operation(mask, kernel, iterations=n).sum()) for n in (2, 1, 0)]
    other = int(cv2.morphologyEx(mask.astype(np.uint8), OPENCV[name], kernel, iterations=0).sum())
    print(f'{name}: 2, 1 and 0 iterations {counts}, OpenCV with 0 {other}')
    assert other == 64
    assert counts[2] == dict(dilation=400).get(name, 0)
    assert counts[1] == dict(dilation=100, erosion=36).get(name, 64)
PY
