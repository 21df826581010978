#!/usr/bin/env bash
# oxipng, a lossless PNG optimizer, renumbers the classes of a palette mask.
#
# Expected: what is lossless keeps the label map: class 5 stays 5.
# Happens: oxipng, at its defaults, drops colours that are not used and sorts the others. The picture is the same, the
#   indices are not: of VOC's form of label map, classes 1, 2, 5 become 3, 1, 2. A grey mask of 0 and 1 becomes one with
#   a palette: Pillow still reads 0 and 1, OpenCV three channels. The help mentions palette reduction, but not indices.
# Versions: pyoxipng 9.1.1, Pillow 13.0.0, OpenCV 5.0.0 (headless), NumPy 2.4.6.
# Why it matters: masks in a repository or on a server are made smaller in passing, by a hook or
#   a build step. They open and look as before, and a training learns the wrong classes. Masks that
#   are read by their colours are safe; palette_reduction=False keeps the indices.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: every class keeps its number
#   class 0 is now 0
#   class 1 is now 3
#   class 2 is now 1
#   class 5 is now 2
#   without palette reduction as before: True
#   grey mask of 0 and 1: Pillow mode P, OpenCV (64, 64) before, (64, 64, 3) after
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 pillow==13.0.0 opencv-python-headless==5.0.0.93 pyoxipng==9.1.1
venv/bin/python - <<'PY'
import cv2
import numpy as np
import oxipng
from PIL import Image

# The first colours of PASCAL VOC's palette.
PALETTE = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128)]
labels = np.zeros((64, 64), np.uint8)
labels[30:34, 4:8], labels[4:20, 4:20], labels[30:50, 30:50] = 1, 2, 5
mask = Image.fromarray(labels)
mask.putpalette([value for colour in PALETTE for value in colour])
mask.save('before.png')
grey = (labels > 0).astype(np.uint8)
Image.fromarray(grey).save('grey.png')


def optimized(path, **options):
    oxipng.optimize(path, 'after.png', **options)
    return Image.open('after.png')


after = optimized('before.png')
classes = {old: sorted(set(np.asarray(after)[labels == old].tolist())) for old in (0, 1, 2, 5)}
print('expected: every class keeps its number')
for old, new in classes.items():
    print(f'class {old} is now', *new)
assert np.array_equal(after.convert('RGB'), mask.convert('RGB'))
assert classes[0] == [0]
assert classes[1] == [3] and classes[2] == [1] and classes[5] == [2]

kept = optimized('before.png', palette_reduction=False)
print('without palette reduction as before:', np.array_equal(kept, labels))
assert np.array_equal(kept, labels)

after = optimized('grey.png')
seen = cv2.imread('after.png', cv2.IMREAD_UNCHANGED)
before = cv2.imread('grey.png', cv2.IMREAD_UNCHANGED)
print(f'grey mask of 0 and 1: Pillow mode {after.mode}, OpenCV {before.shape} before, {seen.shape} after')
assert before.shape == (64, 64) and seen.shape == (64, 64, 3)
assert np.array_equal(after, grey)
PY
