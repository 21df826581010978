#!/usr/bin/env bash
# If an image is smaller than the crop, Keras interpolates its mask, and new classes appear.
#
# Expected: RandomCrop and CenterCrop, which resize such an image, as their help says, resize segmentation masks by
#   nearest neighbour, as Resizing and RandomRotation of the same package do.
# Happens: the mask is resized bilinearly, like the image. From classes 0, 2, 5 all values in between appear: 1, 3 and 4
#   once it is rounded, and class 2 along the rim of 5. Larger images are cropped, and are correct. The help of
#   RandomCrop shows segmentation masks in its example, but does not mention this.
# Versions: keras 3.15.1 with torch 2.13.0, NumPy 2.4.6.
# Why it matters: sizes differ within a data set of many hospitals, and with them the small images alone
#   get classes that no expert drew. A mask of 0 and 1 loses its rim in a cast to integers.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   image of 64 x 64; expected: classes 0, 2, 5, and a share of 0.0 that is no whole class
#   Resizing(80, 80): 0 2 5 - 0.0
#   RandomCrop(60, 60): 0 2 5 - 0.0
#   CenterCrop(60, 60): 0 2 5 - 0.0
#   RandomCrop(80, 80): 0 1 2 3 4 5 - 0.039
#   CenterCrop(80, 80): 0 1 2 3 4 5 - 0.039
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 keras==3.15.1
KERAS_BACKEND=torch KERAS_HOME=$work venv/bin/python -W ignore - <<'PY'
import numpy as np
from keras import layers, ops

image = np.zeros((1, 64, 64, 3), np.float32)
mask = np.zeros((1, 64, 64, 1), np.float32)
mask[:, 10:30, 10:30], mask[:, 30:56, 24:56] = 2, 5


def classes(layer):
    """Distinct values of the mask, rounded to whole classes, and the share that is no whole class."""
    result = layer({'images': image, 'segmentation_masks': mask}, training=True)
    values = ops.convert_to_numpy(result['segmentation_masks'])
    whole = np.round(values)
    share = float((np.abs(values - whole) > 0.01).mean())
    return sorted(set(whole.ravel().astype(int).tolist())), round(share, 3)


print('image of 64 x 64; expected: classes 0, 2, 5, and a share of 0.0 that is no whole class')
crisp = {
    'Resizing(80, 80)': classes(layers.Resizing(80, 80)),
    'RandomCrop(60, 60)': classes(layers.RandomCrop(60, 60, seed=0)),
    'CenterCrop(60, 60)': classes(layers.CenterCrop(60, 60)),
}
mixed = {
    'RandomCrop(80, 80)': classes(layers.RandomCrop(80, 80, seed=0)),
    'CenterCrop(80, 80)': classes(layers.CenterCrop(80, 80)),
}
for name, (found, share) in (crisp | mixed).items():
    print(f'{name}:', *found, f'- {share}')
assert all(result == ([0, 2, 5], 0) for result in crisp.values())
assert all(found == [0, 1, 2, 3, 4, 5] and share > 0.02 for found, share in mixed.values())
assert 'segmentation_masks' in layers.RandomCrop.__doc__
PY
