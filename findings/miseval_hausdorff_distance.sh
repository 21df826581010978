#!/usr/bin/env bash
# MISeval returns a Hausdorff distance of 0 between a lesion and the same lesion further down.
#
# Expected: HausdorffDistance is the largest distance between two outlines: 5 where a square is moved
#   by 5 pixels. AverageHausdorffDistance is a mean, and at most that.
# Happens: the mask is read as a list of points, one per row: 8 x 8 pixels are 2 different points, and where the lesion
#   lies among the rows has no influence. Moved down it is 0, to the right 2.83, and where the lesion is missed it is
#   2.83 in an image of any size. The value that is called the average is the largest distance, which was expected of
#   HausdorffDistance.
# Versions: MISeval 1.3.0, hausdorff 0.2.6, NumPy 2.4.6, SciPy 1.17.1.
# Why it matters: the package is made for papers on medical segmentation. A Hausdorff distance near 0
#   is then reported for lesions that were found in the wrong place.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   HausdorffDistance, AverageHausdorffDistance, SciPy's largest distance
#   5 down: 0.0 5.0 5.0
#   20 down: 0.0 20.0 20.0
#   5 to the right: 2.83 5.0 5.0
#   same place: 0.0 0.0 0.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 hausdorff==0.2.6 miseval==1.3.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
from miseval import evaluate
from scipy.spatial.distance import directed_hausdorff

truth = np.zeros((64, 64), np.uint8)
truth[8:16, 8:16] = 1


def largest(one, other):
    points = np.argwhere(one), np.argwhere(other)
    return max(directed_hausdorff(*points)[0], directed_hausdorff(*points[::-1])[0])


def measured(name, steps, axis):
    moved = np.roll(truth, steps, axis)
    scores = [float(evaluate(truth, moved, metric=metric)) for metric in ('HD', 'AHD')]
    scores = [round(score, 2) for score in (*scores, largest(truth, moved))]
    print(name, *scores)
    return scores


print("HausdorffDistance, AverageHausdorffDistance, SciPy's largest distance")
assert measured('5 down:', 5, 0) == [0, 5, 5]
assert measured('20 down:', 20, 0) == [0, 20, 20]
assert measured('5 to the right:', 5, 1) == [2.83, 5, 5]
assert measured('same place:', 0, 0) == [0, 0, 0]
PY
