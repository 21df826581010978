#!/usr/bin/env bash
# Keras's AugMix and MixUp average the class numbers of masks.
#
# Expected: given images and "segmentation_masks", AugMix changes colours and keeps the classes, as RandAugment does, or
#   refuses. MixUp refuses class numbers, or takes one of the two, as CutMix does.
# Happens: both layers blend masks as they blend pixels. Of classes 0, 2 and 5 they make fractions between 0 and 5. The
#   help of neither layer mentions masks. No message.
# Versions: keras 3.15.1, torch 2.13.0 (as the backend), NumPy 2.4.6.
# Why it matters: cast to integers for the loss, class 5 is class 4, and lesions of class 1 are gone wherever they were mixed with
#   background at all: 0.88 is 0.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   values of masks with classes 0, 2 and 5
#   RandAugment: 3 - 0.0 2.0 5.0
#   CutMix: 3 - 0.0 2.0 5.0
#   AugMix: 14 - 0.0 0.22 0.34 0.56 0.84 1.4 1.44 1.66
#   MixUp: 3 - 0.0 1.35 4.38
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 keras==3.15.1
KERAS_HOME="$work" KERAS_BACKEND=torch venv/bin/python -W ignore - <<'PY'
import numpy as np
import keras

masks = np.zeros((2, 32, 32, 1), 'float32')
masks[0, 3:20, 3:20] = 2
masks[1, 10:28, 10:28] = 5
keras.utils.set_random_seed(1)
images = np.random.default_rng(0).random((2, 32, 32, 3)).astype('float32')
numbers = {'images': images, 'segmentation_masks': masks, 'labels': np.eye(2, dtype='float32')}


def values(layer, batch):
    """Values of the masks after the layer."""
    result = layer(dict(batch), training=True)['segmentation_masks']
    return sorted({round(float(value), 2) for value in keras.ops.convert_to_numpy(result).flat})


options = dict(value_range=(0, 1), seed=1)
mixes = dict(
    RandAugment=keras.layers.RandAugment(**options),
    CutMix=keras.layers.CutMix(seed=1),
    AugMix=keras.layers.AugMix(**options),
    MixUp=keras.layers.MixUp(alpha=1.0, seed=1),
)
print('values of masks with classes 0, 2 and 5')
for name, layer in mixes.items():
    found = values(layer, numbers)
    print(f'{name}:', len(found), '-', *found[:8])
    if name in ('RandAugment', 'CutMix'):
        assert set(found) <= {0, 2, 5}
    else:
        assert any(value % 1 for value in found) and max(found) <= 5
PY
