#!/usr/bin/env bash
# SciPy's binary closing removes pixels where a mask touches the image border.
#
# Expected: closing fills gaps and never removes a pixel; a full mask stays full.
# Happens: binary_closing treats the outside as background for the dilation and for the erosion after it, so a rim as
#   wide as the structure is removed: 36 of 64 pixels stay. OpenCV and scikit-image keep all 64, and so does SciPy's own
#   grey_closing.
# Versions: SciPy 1.17.1, OpenCV 5.0.0 (headless), scikit-image 0.26.0, NumPy 2.4.6.
# Why it matters: lesions are often cut by the border of an endoscopic frame. Cleaning a
#   mask with this function shortens exactly those, and opens their outline.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: 64 pixels from all
#   happened: {'SciPy binary_closing': 36, 'SciPy grey_closing': 64, 'OpenCV': 64, 'scikit-image': 64}
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 opencv-python-headless==5.0.0.93 scikit-image==0.26.0
venv/bin/python -W ignore - <<'PY'
import cv2
import numpy as np
from scipy import ndimage
from skimage import morphology

full = np.ones((8, 8), np.uint8)
square = np.ones((3, 3), np.uint8)
areas = {
    'SciPy binary_closing': ndimage.binary_closing(full, square),
    'SciPy grey_closing': ndimage.grey_closing(full, footprint=square),
    'OpenCV': cv2.morphologyEx(full, cv2.MORPH_CLOSE, square),
    'scikit-image': morphology.closing(full, square),
}
areas = {name: int(mask.sum()) for name, mask in areas.items()}
print('expected: 64 pixels from all')
print('happened:', areas)
assert areas.pop('SciPy binary_closing') == 36
assert set(areas.values()) == {64}
PY
