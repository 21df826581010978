#!/usr/bin/env bash
# Augmentor treats masks like photographs: it interpolates them, brightens them and fills them with noise.
#
# Expected: a mask given to Pipeline.ground_truth() is transformed with its image, by nearest neighbour; colour changes
#   leave it as it is.
# Happens: every operation does to the mask what it does to the image. Rotation, zoom and elastic distortion resample
#   bicubically: classes 0, 2, 4 get a rim of 1, 3 and 5. Brightness multiplies class numbers, inversion subtracts them
#   from 255, and random erasing writes noise of 255 classes. The help says "augmented alongside the original images",
#   for "semantic segmentation ground truth".
# Versions: Augmentor 0.2.12, Pillow 13.0.0, NumPy 2.4.6.
# Why it matters: every number is a class to the training that follows, and masks of 0 and 255 get grey rims that some
#   thresholds count as lesion. Flips, rotation by 90 degrees and crops without resizing are safe.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: classes 0, 2, 4 after each
#   flip_left_right: 0 2 4
#   rotate: 0 1 2 3 4 5
#   zoom: 0 1 2 3 4
#   random_distortion: 0 1 2 3 4 5
#   random_brightness: 0 3 6
#   invert: 251 253 255
#   random_erasing: more than 100 classes True
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 Augmentor==0.2.12
venv/bin/python -W ignore - <<'PY'
import contextlib
import io
import random
import shutil
from pathlib import Path

import Augmentor
import numpy as np
from PIL import Image

CLASSES = {0, 2, 4}
generator = np.random.default_rng(0)
labels = np.zeros((64, 64), np.uint8)
labels[10:40, 10:40], labels[40:55, 20:60] = 2, 4
for folder in ('images', 'masks'):
    Path(folder).mkdir()
Image.fromarray(generator.integers(0, 255, (64, 64, 3), np.uint8)).save('images/a.png')
Image.fromarray(labels).save('masks/a.png')


def classes_after(operation, **settings):
    """The labels that ten augmented masks hold."""
    random.seed(0)
    np.random.seed(0)
    shutil.rmtree('images/output', ignore_errors=True)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        pipeline = Augmentor.Pipeline('images')
        pipeline.ground_truth('masks')
        getattr(pipeline, operation)(probability=1, **settings)
        pipeline.sample(10, multi_threaded=False)
    masks = [path for path in Path('images/output').rglob('*') if 'groundtruth' in path.name]
    assert len(masks) == 10
    return set(np.concatenate([np.asarray(Image.open(path)).ravel() for path in masks]).tolist())


print('expected: classes 0, 2, 4 after each')
flipped = classes_after('flip_left_right')
moved = dict(
    rotate=classes_after('rotate', max_left_rotation=10, max_right_rotation=10),
    zoom=classes_after('zoom', min_factor=1.2, max_factor=1.5),
    random_distortion=classes_after('random_distortion', grid_width=4, grid_height=4, magnitude=4),
)
brightened = classes_after('random_brightness', min_factor=1.5, max_factor=1.6)
inverted = classes_after('invert')
erased = classes_after('random_erasing', rectangle_area=0.3)
print('flip_left_right:', *sorted(flipped))
for name, found in moved.items():
    print(f'{name}:', *sorted(found))
print('random_brightness:', *sorted(brightened))
print('invert:', *sorted(inverted))
print('random_erasing: more than 100 classes', len(erased) > 100)
assert flipped == CLASSES
assert all(found > CLASSES and {1, 3} <= found for found in moved.values())
assert brightened != CLASSES and max(brightened) > 4
assert inverted == {251, 253, 255}
assert len(erased) > 100
assert 'semantic segmentation ground' in Augmentor.Pipeline.ground_truth.__doc__
PY
