#!/usr/bin/env bash
# torchvision gives a lesion of one row or column a box of no area.
#
# Expected: a mask of one pixel has a box of area 1, as COCO's, and x1 < x2, as the help of
#   masks_to_boxes says.
# Happens: the last pixel is the box's right and lower end: 10 x 10 pixels have an area of 81, one
#   pixel and one column of five have 0, and box_iou of such a box with itself is NaN. pycocotools
#   gives 100, 1 and 5.
# Versions: torchvision 0.28.0, torch 2.13.0, pycocotools 2.0.11.
# Why it matters: boxes made from masks train detectors and match lesions. Boxes from the two
#   libraries have IoU 0.81 for the same lesion of 10 pixels, 0.56 for one of 4, and the smallest
#   lesions match nothing. Add 1 to x2 and y2.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: areas [100.0, 16.0, 5.0, 1.0] and IoU 1 with itself and with the box of pycocotools
#   areas: [81.0, 9.0, 0.0, 0.0]
#   IoU with itself: [1.0, 1.0, nan, nan]
#   IoU with the box of pycocotools: [0.81, 0.56, 0.0, 0.0]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 torchvision==0.28.0 pycocotools==2.0.11
venv/bin/python -W ignore - <<'PY'
import sys

import numpy as np
import torch

# torchvision from PyPI next to a torch of another build fails at import for want of two
# declared operators; declaring them is all that it needs here.
library = torch.library.Library('torchvision', 'FRAGMENT')
try:
    import torchvision  # noqa: F401
except Exception:
    sys.modules.pop('torchvision', None)
    for name in ('nms', 'qnms'):
        library.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
from pycocotools import mask as coco
from torchvision.ops import box_area, box_iou, masks_to_boxes

masks = torch.zeros(4, 16, 16, dtype=torch.bool)
masks[0, 2:12, 3:13] = True
masks[1, 2:6, 3:7] = True
masks[2, 2:7, 4] = True
masks[3, 3, 4] = True
boxes = masks_to_boxes(masks)
runs = coco.encode(np.asfortranarray(masks.permute(1, 2, 0).numpy().astype(np.uint8)))
theirs = torch.as_tensor(coco.toBbox(runs), dtype=torch.float32)
theirs[:, 2:] += theirs[:, :2]
areas = box_area(boxes).tolist()
themselves = [round(value, 2) for value in box_iou(boxes, boxes).diagonal().tolist()]
between = [round(value, 2) for value in box_iou(boxes, theirs).diagonal().tolist()]
print('expected: areas', box_area(theirs).tolist(), 'and IoU 1 with itself and with the box of pycocotools')
print('areas:', areas)
print('IoU with itself:', themselves)
print('IoU with the box of pycocotools:', between)
assert box_area(theirs).tolist() == [100, 16, 5, 1]
assert areas == [81, 9, 0, 0]
assert themselves[:2] == [1, 1] and all(np.isnan(themselves[2:]))
assert between == [0.81, 0.56, 0, 0]
PY
