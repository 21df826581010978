#!/usr/bin/env bash
# pycocotools fills a polygon with 9 pixels that OpenCV, Pillow and scikit-image fill with 16.
#
# Expected: a square with corners (2, 2) and (5, 5) is filled alike, up to a pixel or so.
# Happens: pycocotools fills the area between the lines (3 x 3); the three others fill the
#   pixels whose numbers are the corners (4 x 4), 78 % more. At 60 pixels across it is
#   still 3 %, and the whole outline is one pixel further out at the right and below.
# Versions: pycocotools 2.0.11, OpenCV 5.0.0 (headless), Pillow 13.0.0, scikit-image 0.26.0.
# Why it matters: masks of two hospitals that were drawn from the same kind of outlines by
#   two tools differ by a rim, which a model sees as the site and HD95 counts as an error.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: one area
#   side 3:  {'pycocotools': 9, 'OpenCV': 16, 'Pillow': 16, 'scikit-image': 16}
#   side 60: {'pycocotools': 3600, 'OpenCV': 3721, 'Pillow': 3721, 'scikit-image': 3721}
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 pycocotools==2.0.11 pillow==13.0.0 opencv-python-headless==5.0.0.93 scikit-image==0.26.0
venv/bin/python -W ignore - <<'PY'
import cv2
import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco
from skimage.draw import polygon2mask


def areas(side):
    corners = [(2, 2), (2 + side, 2), (2 + side, 2 + side), (2, 2 + side)]
    size = side + 6
    flat = [float(v) for xy in corners for v in xy]
    filled = np.zeros((size, size), np.uint8)
    cv2.fillPoly(filled, [np.array(corners)], 1)
    drawn = Image.new('L', (size, size))
    ImageDraw.Draw(drawn).polygon(corners, fill=1)
    return {
        'pycocotools': int(coco.decode(coco.frPyObjects([flat], size, size)).sum()),
        'OpenCV': int(filled.sum()),
        'Pillow': int(np.array(drawn).sum()),
        'scikit-image': int(polygon2mask((size, size), np.array(corners)).sum()),
    }


small, large = areas(3), areas(60)
print('expected: one area')
print('side 3: ', small)
print('side 60:', large)
assert small == {'pycocotools': 9, 'OpenCV': 16, 'Pillow': 16, 'scikit-image': 16}
assert large['pycocotools'] == 3600
assert {v for k, v in large.items() if k != 'pycocotools'} == {3721}
PY
