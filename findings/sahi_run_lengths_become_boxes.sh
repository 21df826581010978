#!/usr/bin/env bash
# SAHI replaces lesions in COCO's run-length encoding (RLE) by their bounding boxes.
#
# Expected: run lengths are read as polygons are, refused, or left out: the warning says that such an
#   annotation "is skipped since RLE segmentation format is not supported".
# Happens: slice_coco does not skip it. The bounding box becomes a polygon, and is written as the outline of the lesion:
#   one in two parts with 356 pixels becomes a square of 1156. As polygons, the same lesion stays as it was.
# Versions: sahi 0.12.8, pycocotools 2.0.11, shapely 2.2.0, OpenCV 5.0.0, NumPy 2.4.6.
# Why it matters: run lengths are what masks with holes or parts are exported as, and what many tools write.
#   Slices of large images then train a network on rectangles; the file is valid and has as many
#   annotations as before. Make polygons of them first.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: both 356 pixels, as drawn and as written
#   polygons: 356 356
#   run lengths: 1156 1156
#   warning: Segmentation annotation for id 1 is skipped since RLE segmentation format is not supported.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 opencv-python==5.0.0.93 shapely==2.2.0 pycocotools==2.0.11 sahi==0.12.8
venv/bin/python -W ignore - <<'PY'
import contextlib
import io
import json
import logging

import numpy as np
from PIL import Image
from pycocotools import mask as runs
from sahi.slicing import slice_coco

warnings = io.StringIO()
logging.getLogger('sahi').handlers = [logging.StreamHandler(warnings)]
Image.fromarray(np.zeros((80, 80, 3), np.uint8)).save('a.png')
POLYGONS = [[2, 2, 12, 2, 12, 12, 2, 12], [20, 20, 36, 20, 36, 36, 20, 36]]
encoded = runs.merge(runs.frPyObjects(POLYGONS, 80, 80))
AREA = int(runs.area(encoded))


def sliced(segmentation):
    """Pixels of the lesion in its slice of 40 x 40, and the area that is written beside it."""
    lesion = dict(
        id=1, image_id=1, category_id=1, iscrowd=0, area=AREA, bbox=[2, 2, 34, 34], segmentation=segmentation
    )  # fmt: skip
    data = dict(
        images=[dict(id=1, file_name='a.png', width=80, height=80)],
        categories=[dict(id=1, name='polyp')],
        annotations=[lesion],
    )
    with open('truth.json', 'w') as file:
        json.dump(data, file)
    with contextlib.redirect_stderr(io.StringIO()):
        written, _ = slice_coco(
            'truth.json', '.', 'sliced', output_dir='slices', verbose=False,
            slice_height=40, slice_width=40, overlap_height_ratio=0, overlap_width_ratio=0,
        )  # fmt: skip
    (annotation,) = written['annotations']
    outlines = runs.merge(runs.frPyObjects(annotation['segmentation'], 40, 40))
    return int(runs.area(outlines)), annotation['area']


as_polygons = sliced(POLYGONS)
as_runs = sliced(dict(size=[80, 80], counts=encoded['counts'].decode()))
print('expected: both', AREA, 'pixels, as drawn and as written')
print('polygons:', *as_polygons)
print('run lengths:', *as_runs)
print('warning:', warnings.getvalue().splitlines()[0])
assert as_polygons == (AREA, AREA) == (356, 356)
assert as_runs == (34 * 34, 34 * 34)
assert 'is skipped' in warnings.getvalue()
PY
