#!/usr/bin/env bash
# LabelFusion uses a class number as its position in the list: without the background, class 1 is lost and 2 becomes 3.
#
# Expected: fuse_images(images, 'majority', class_list=[1, 2, 4]) votes on classes 1, 2 and 4, and what is none of
#   them stays 0; the order of the list changes nothing.
# Happens: the first class of the list is looked up by its number among channels that stand in the order of the list.
#   That is right where the list begins with 0. For [1, 2, 4] the channel of class 2 is used for class 1 and then added
#   as 2: class 1 is gone, class 2 becomes 3, a number that occurs in no mask. For [1, 0, 2, 4] lesion and background
#   are swapped. 'simple' does the same; 'staple' and 'itkvoting' need no list and are right. The help of its command
#   says "the expected labels; for example '0,1,2,4'", and there is no message.
# Versions: labelfusion 1.0.15, SimpleITK 2.5.7, NumPy 2.4.6.
# Why it matters: a consensus of annotators, or of models, is the reference for everything else. The lesion classes are
#   a natural list, but the fused map then lacks one class and has one that nobody drew.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   voxels of each class
#   staple, no list: {0: 12220, 1: 400, 2: 100, 4: 80}
#   majority, [0, 1, 2, 4]: {0: 12220, 1: 400, 2: 100, 4: 80}
#   majority, [1, 2, 4]: {0: 12620, 3: 100, 4: 80}
#   majority, [1, 0, 2, 4]: {0: 400, 1: 12220, 2: 100, 4: 80}
#   simple, [0, 1, 2, 4]: {0: 12220, 1: 400, 2: 100, 4: 80}
#   simple, [1, 2, 4]: {0: 12620, 3: 100, 4: 80}
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  setuptools==80.9.0 numpy==2.4.6 simpleitk==2.5.7 labelfusion==1.0.15
venv/bin/python -W ignore - <<'PY'
import contextlib
import io

import numpy as np
import SimpleITK as sitk
from LabelFusion.wrapper import fuse_images


def drawn(shift):
    """What one of three annotators drew: classes 1, 2 and 4."""
    mask = np.zeros((8, 40, 40), np.uint8)
    mask[2:6, 10 + shift : 20 + shift, 10:20] = 1
    mask[2:6, 25:30, 25:30] = 2
    mask[2:6, 33:38, 5:9] = 4
    return sitk.GetImageFromArray(mask)


def fused(method, classes=None):
    with contextlib.redirect_stdout(io.StringIO()):
        image = fuse_images([drawn(0), drawn(0), drawn(1)], method, classes)
    values, counts = np.unique(sitk.GetArrayFromImage(image), return_counts=True)
    found = dict(zip(values.astype(int).tolist(), counts.tolist()))
    print(f'{method}, {classes or "no list"}: {found}')
    return found


print('voxels of each class')
right = fused('staple')
assert right == {0: 12220, 1: 400, 2: 100, 4: 80}
assert fused('majority', [0, 1, 2, 4]) == right
lost = {0: 12620, 3: 100, 4: 80}
assert fused('majority', [1, 2, 4]) == lost
assert fused('majority', [1, 0, 2, 4]) == {0: 400, 1: 12220, 2: 100, 4: 80}
assert fused('simple', [0, 1, 2, 4]) == right
assert fused('simple', [1, 2, 4]) == lost
PY
