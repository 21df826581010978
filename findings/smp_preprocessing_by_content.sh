#!/usr/bin/env bash
# segmentation-models-pytorch divides an image by 255 only if it has a value above 1.
#
# Expected: get_preprocessing_fn scales every image alike, or by its type.
# Happens: the brightest value of each image decides. A float image within 0 and 1 in which resizing
#   leaves one pixel at 1.0001 is divided by 255 and comes out black. A uint8 frame with nothing
#   above 1 is not divided: its value 1 becomes white.
#   No help text states a range. A maintainer's answer (issue 866) names 0 to 255, which the dark
#   frame keeps to.
# Versions: segmentation-models-pytorch 0.6.0, torch 2.13.0, torchvision 0.28.0.
# Why it matters: cubic resizing overshoots in some images only, at bright reflections, so that a few images of a test
#   set are silently black for the network. Scale the images yourself, then pass mean and std to a normalisation.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: the pixel of 0.8 is 1.38 in both float images, that of 1 of 255 next to -2.12
#   float, 0.8: 1.38
#   float, 0.8, another pixel of 1.0001: -2.1
#   uint8, all 1: 2.25
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 torchvision==0.28.0 segmentation-models-pytorch==0.6.0
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
from segmentation_models_pytorch.encoders import get_preprocessing_fn

prepare = get_preprocessing_fn('tu-resnet50')  # timm's, which reads nothing from the network


def grey(image):
    return round(float(prepare(image)[1, 1, 0]), 2)


usual = np.full((4, 4, 3), 0.8)
overshoot = usual.copy()
overshoot[0, 0] = 1.0001
bright = np.full((4, 4, 3), 204, np.uint8)
dark = np.full((4, 4, 3), 1, np.uint8)
black = np.zeros((4, 4, 3), np.uint8)
print('expected: the pixel of 0.8 is', grey(bright), 'in both float images, that of 1 of 255 next to', grey(black))
print('float, 0.8:', grey(usual))
print('float, 0.8, another pixel of 1.0001:', grey(overshoot))
print('uint8, all 1:', grey(dark))
assert grey(usual) == grey(bright) == 1.38 and grey(black) == -2.12
assert grey(overshoot) == -2.1
assert grey(dark) == 2.25
PY
