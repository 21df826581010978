#!/usr/bin/env bash
# pycocotools encodes a mask by its changes of value, so a label map becomes nonsense.
#
# Expected: encode() takes every non-zero pixel as foreground, as it does with a mask of
#   0 and 255.
# Happens: a new run starts wherever the value changes, whatever the values are. The step from label 1 to label 2 ends
#   the foreground, and from there on foreground and background are swapped until the next such step. A mask with one
#   non-zero value is stored correctly.
# Versions: pycocotools 2.0.11, NumPy 2.4.6.
# Why it matters: two lesion classes that touch, or a mask with the ignore label 255 beside
#   label 1, give wrong areas and wrong AP without a message. Encode (mask == label).
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   labels:
#   [[0 0 0 0 0 0]
#    [0 1 1 2 2 0]
#    [0 1 1 2 2 0]
#    [0 1 1 2 2 0]
#    [0 0 0 0 0 0]]
#   expected of encode and decode: area 12
#   happened: area 15
#   [[0 0 0 0 0 0]
#    [0 1 1 0 0 1]
#    [1 0 0 1 1 0]
#    [0 1 1 0 0 1]
#    [1 1 1 1 1 1]]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 pycocotools==2.0.11
venv/bin/python -W ignore - <<'PY'
import numpy as np
from pycocotools import mask as coco

labels = np.zeros((5, 6), np.uint8)
labels[1:4, 1:3] = 1
labels[1:4, 3:5] = 2


def round_trip(mask):
    return coco.decode(coco.encode(np.asfortranarray(mask)))


got = round_trip(labels.T.copy()).T  # runs go down the columns: across the border
binary = round_trip((labels > 0).astype(np.uint8) * 255)
print('labels:')
print(labels)
print('expected of encode and decode: area', int((labels > 0).sum()))
print('happened: area', int(got.sum()))
print(got)
assert np.array_equal(binary, labels > 0)
assert int((labels > 0).sum()) == 12
assert int(got.sum()) == 15 and int((got != (labels > 0)).sum()) == 15
assert got[1].tolist() == [0, 1, 1, 0, 0, 1]
PY
