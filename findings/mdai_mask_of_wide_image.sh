#!/usr/bin/env bash
# mdai converts an MD.ai mask to an array of width x height: in a wide image the lesion is cut off, or missing.
#
# Expected: convert_mask_annotation_to_array gives an array of height x width, in which the outlines are filled with
#   1: the mask that convert_mask_data made them of.
# Happens: the array has as many rows as the image has columns, and the other way round, while the outlines are drawn at
#   their own places. What lies right of the height of the image is cut off: of a lesion of 500 pixels in an image of 60
#   x 100 none is left, one at the left keeps all of them, at the same rows and columns of the wrong shape. In a tall
#   image, everything below its width is cut off. Square images are right. No message.
# Versions: mdai 0.16.0, OpenCV 4.14.0.94, NumPy 2.4.6.
# Why it matters: endoscopic images are wide. Lesions at the right become background in training; transposing the array
#   to correct its shape mirrors the others along the diagonal.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   square: (100, 100) with 500 pixels becomes (100, 100) with 500
#   wide, at the left: (60, 100) with 500 pixels becomes (100, 60) with 500
#   wide, at the right: (60, 100) with 500 pixels becomes (100, 60) with 0
#   high, below: (100, 60) with 500 pixels becomes (60, 100) with 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 opencv-python==4.14.0.94 mdai==0.16.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
import pandas as pd
from mdai.utils.common_utils import convert_mask_annotation_to_array, convert_mask_data


def there_and_back(name, height, width, rows, columns):
    mask = np.zeros((height, width), np.uint8)
    mask[rows, columns] = 1
    row = pd.Series({'width': width, 'height': height, 'data': convert_mask_data(mask)})
    array = convert_mask_annotation_to_array(row)
    print(f'{name}: {mask.shape} with {mask.sum()} pixels becomes {array.shape} with {int(array.sum())}')
    return mask, array


mask, array = there_and_back('square', 100, 100, slice(10, 30), slice(70, 95))
assert (mask == array).all()
mask, array = there_and_back('wide, at the left', 60, 100, slice(10, 30), slice(5, 30))
assert array.shape == (100, 60) and array[10:30, 5:30].all() and array.sum() == 500
mask, array = there_and_back('wide, at the right', 60, 100, slice(10, 30), slice(70, 95))
assert array.shape == (100, 60) and mask.sum() == 500 and array.sum() == 0
mask, array = there_and_back('high, below', 100, 60, slice(70, 95), slice(10, 30))
assert array.shape == (60, 100) and array.sum() == 0
PY
