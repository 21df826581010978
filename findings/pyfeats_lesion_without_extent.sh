#!/usr/bin/env bash
# pyfeats gives any lesion that does not touch the first row a height of 0, and away from the first column a width of 0.
#
# Expected: SHAPE_XcoordMax and SHAPE_YcoordMax, the "x- and y-coordinate maximum length", are the extents of the lesion:
#   10 and 20 for 10 rows of 20 pixels, wherever it lies.
# Happens: the search for the first row of the lesion starts as if it had been found at 0, and ends at the first row without
#   lesion. Only a lesion in the corner has 10 and 20; in the middle it has 0 and 0; a mask of the whole image has one
#   more than the image. Area and perimeter are right. No message.
# Versions: pyfeats 1.0.1, NumPy 2.4.6.
# Why it matters: lesions lie within the image. Two of five features of shape are then 0 for all of them, and tell a
#   classifier only which lesions touch the border.
# Seen: 2026-12-01, Linux x86-64, Python 3.11, exit status 0. Output:
#   rows, columns, area, perimeter of 10 x 20 pixels
#   in the corner: 10 20 200 56
#   at the upper border: 10 0 200 56
#   in the middle: 0 0 200 56
#   of all 40 x 60 pixels: 41 61 2400 196
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-image==0.26.0 opencv-python==5.0.0.93 mahotas==1.4.19 pywavelets==1.9.0 \
  matplotlib==3.11.2 setuptools==80.9.0 pyfeats==1.0.1
venv/bin/python -W ignore - <<'PY'
import numpy as np
from pyfeats import shape_parameters
from scipy.ndimage import binary_erosion

NAMES = ['SHAPE_XcoordMax', 'SHAPE_YcoordMax', 'SHAPE_area', 'SHAPE_perimeter']


def shape(name, row=0, column=0, rows=10, columns=20):
    mask = np.zeros((40, 60), np.uint8)
    mask[row : row + rows, column : column + columns] = 1
    outline = mask - binary_erosion(mask)
    values, names = shape_parameters(np.full(mask.shape, 100, np.uint8), mask, outline)
    assert names[:4] == NAMES
    found = [int(value) for value in values[:4]]
    print(f'{name}:', *found)
    return found


print('rows, columns, area, perimeter of 10 x 20 pixels')
assert shape('in the corner') == [10, 20, 200, 56]
assert shape('at the upper border', column=15) == [10, 0, 200, 56]
assert shape('in the middle', row=15, column=15) == [0, 0, 200, 56]
assert shape('of all 40 x 60 pixels', rows=40, columns=60) == [41, 61, 2400, 196]
PY
