#!/usr/bin/env bash
# OpenCV's ximgproc.thinning leaves the outermost pixels as they are: a vessel that meets the border ends in a bar.
#
# Expected: a skeleton is one pixel wide everywhere, as scikit-image's is.
# Happens: the first and the last row and column are never thinned. A vessel of 9 pixels that crosses the image has a
#   skeleton that is one pixel wide except for a bar of 9 pixels at both ends, with both methods. Of a vessel along the
#   border the outermost row is left, and not the centre line, 4 pixels further in. A full patch stays full. With a
#   background frame of one pixel, which is cropped again, it is correct. The help does not mention it. No message.
# Versions: opencv-contrib 5.0.0.93, scikit-image 0.26.0, NumPy 2.4.6.
# Why it matters: lengths and ends of vessels are counted on skeletons, and centreline Dice is taken on them. In
#   patches, where nearly every vessel meets a border, each of them adds its width to the length, and its end is a
#   fork.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   a vessel of 9 pixels across the image; width of its skeleton at the left, between, at the right
#   scikit-image: 0 1 0
#   OpenCV, Zhang-Suen: 9 1 9 ; with a frame: 0 1 0
#   OpenCV, Guo-Hall: 9 1 9 ; with a frame: 0 1 0
#   a vessel in the rows 0 to 8; rows of its skeleton by scikit-image, OpenCV, OpenCV with a frame: [4] [0] [4]
#   a patch of 20 x 20 that is full: 400 pixels of skeleton; with a frame: 1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 opencv-contrib-python-headless==5.0.0.93 scikit-image==0.26.0
venv/bin/python -W ignore - <<'PY'
import cv2
import numpy as np
from skimage.morphology import skeletonize

METHODS = {'Zhang-Suen': cv2.ximgproc.THINNING_ZHANGSUEN, 'Guo-Hall': cv2.ximgproc.THINNING_GUOHALL}


def widths(skeleton):
    """Pixels of a skeleton in the first column, at most in the ones between, in the last one."""
    counted = (np.asarray(skeleton) > 0).sum(axis=0)
    return int(counted[0]), int(counted[1:-1].max()), int(counted[-1])


def framed(mask, method):
    return cv2.ximgproc.thinning(np.pad(mask, 1), thinningType=method)[1:-1, 1:-1]


vessel = np.zeros((40, 60), np.uint8)
vessel[15:24] = 255
by_skimage = widths(skeletonize(vessel > 0))
print('a vessel of 9 pixels across the image; width of its skeleton at the left, between, at the right')
print('scikit-image:', *by_skimage)
assert max(by_skimage) == 1
for name, method in METHODS.items():
    plain, padded = widths(cv2.ximgproc.thinning(vessel, thinningType=method)), widths(framed(vessel, method))
    print(f'OpenCV, {name}:', *plain, '; with a frame:', *padded)
    assert plain[0] == plain[2] == 9 and plain[1] == 1
    assert max(padded) <= 1
edge = np.zeros((40, 60), np.uint8)
edge[:9] = 255
rows = [
    np.flatnonzero((np.asarray(skeleton) > 0)[:, 20:40].any(axis=1)).tolist()
    for skeleton in (skeletonize(edge > 0), cv2.ximgproc.thinning(edge), framed(edge, METHODS['Zhang-Suen']))
]
print('a vessel in the rows 0 to 8; rows of its skeleton by scikit-image, OpenCV, OpenCV with a frame:', *rows)
assert rows == [[4], [0], [4]]
full = np.full((20, 20), 255, np.uint8)
left = int((cv2.ximgproc.thinning(full) > 0).sum())
inside = int((framed(full, METHODS['Zhang-Suen']) > 0).sum())
print(f'a patch of 20 x 20 that is full: {left} pixels of skeleton; with a frame: {inside}')
assert left == 400 and inside < 40
PY
