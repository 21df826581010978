#!/usr/bin/env bash
# MMSegmentation's RandomRotFlip interpolates label maps: between two classes a third one appears.
#
# Expected: labels are rotated by nearest neighbour, as RandomRotate of the same package does.
# Happens: they are rotated bilinearly, as the image is. Of classes 0, 2, 5 the rotated label map holds 1, 3 and 4 as
#   well, and where 255 marks pixels without ground truth, numbers up to 254. The corners are class 0, not 255. The help
#   mentions neither (known, MMSegmentation's issue 3399).
# Versions: onedl-mmsegmentation 1.4.2, onedl-mmcv 2.3.6, onedl-mmengine 0.10.12, torch 2.13.0.
# Why it matters: MMSegmentation's own config for Synapse, of abdominal organs, uses this step: training sees rims of
#   organs that are not there. Use RandomRotate and RandomFlip.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   classes 0, 2, 5; expected: these, and 255 in the corners
#   RandomRotate: 0 2 5 255
#   RandomRotFlip, flips alone: 0 2 5
#   RandomRotFlip: 0 1 2 3 4 5
#   RandomRotFlip, with a band of 255: 256 classes
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 torchvision==0.28.0 opencv-python==5.0.0.93 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 ftfy==6.3.1 regex==2026.11.15
venv/bin/python -W ignore - <<'PY'
import random
import sys

import numpy as np
import torch

# torchvision from PyPI next to a torch of another build fails at import for want of two
# declared operators; declaring them is all that it needs here.
library = torch.library.Library("torchvision", "FRAGMENT")
try:
    import torchvision  # noqa: F401
except Exception:
    sys.modules.pop("torchvision", None)
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from mmseg.datasets.transforms import RandomRotate, RandomRotFlip

labels = np.zeros((96, 96), np.uint8)
labels[20:50, 20:50], labels[50:80, 30:80] = 2, 5
ignored = labels.copy()
ignored[20:30] = 255


def classes(step, labels):
    """What ten rotations leave in the label map."""
    random.seed(0)
    np.random.seed(0)
    found = set()
    for _ in range(10):
        sample = dict(img=np.zeros((96, 96, 3), np.uint8), gt_seg_map=labels.copy(), seg_fields=['gt_seg_map'])
        found |= set(step.transform(sample)['gt_seg_map'].ravel().tolist())
    return sorted(found)


rotate = RandomRotate(prob=1, degree=20, seg_pad_val=255)
flip = RandomRotFlip(rotate_prob=0, flip_prob=1)
both = RandomRotFlip(rotate_prob=1, flip_prob=0, degree=20)
print('classes 0, 2, 5; expected: these, and 255 in the corners')
print('RandomRotate:', *classes(rotate, labels))
print('RandomRotFlip, flips alone:', *classes(flip, labels))
print('RandomRotFlip:', *classes(both, labels))
print('RandomRotFlip, with a band of 255:', len(classes(both, ignored)), 'classes')
assert classes(rotate, labels) == [0, 2, 5, 255]
assert classes(flip, labels) == [0, 2, 5]
assert classes(both, labels) == [0, 1, 2, 3, 4, 5]
assert len(classes(both, ignored)) > 100
PY
