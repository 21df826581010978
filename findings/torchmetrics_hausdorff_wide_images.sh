#!/usr/bin/env bash
# In images that are wider than high, the Hausdorff distance of torchmetrics is read from the wrong place.
#
# Expected: a lesion that is predicted 3 pixels too far to the right has a Hausdorff distance of 3, whatever
#   the size of the image around it.
# Happens: 3 in a square image. In a wide one it is anything from 0 to 51, by the place of the lesion: the map of
#   distances is filled as if a row had as many pixels as a column. An image of 64 x 48 pixels says 47, 27 or 36. Padded
#   to a square the same masks have 3 again. No warning, and the help does not mention it.
# Known: torchmetrics' issue 3300 (open) has the error that a high image ends in, and says that wide ones
#   work.
# Versions: torchmetrics 1.9.0, torch 2.13.0.
# Why it matters: frames of endoscopy and ultrasound are wide. The numbers look like distances, but a comparison of two
#   models by them compares positions in the image. Pad to a square, or measure with another package.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   lesion 3 pixels too far to the right, in six places; expected: 3 six times
#   48 x 48: 3.0 3.0 3.0 3.0 3.0 3.0
#   64 x 48: 47.0 27.2 36.1 51.0 28.9 36.1
#   64 x 48, padded to a square: 3.0 3.0 3.0 3.0 3.0 3.0
#   48 x 27: 29.0 27.2 40.3 39.2 0.0 0.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 torchmetrics==1.9.0
venv/bin/python -W ignore - <<'PY'
import torch
from torch.nn.functional import pad
from torchmetrics.segmentation import HausdorffDistance

PLACES = [(4, 2), (4, 24), (4, 35), (16, 2), (16, 24), (16, 35)]


def square(width, height, row, column):
    """A label map with a lesion of 8 x 8 pixels."""
    labels = torch.zeros(1, height, width, dtype=torch.long)
    labels[0, row : row + 8, column : column + 8] = 1
    return labels


def distances(width, height, padding=0):
    """Distances of a lesion to itself, 3 pixels to the right, at each place."""
    found = []
    for row, column in PLACES:
        metric = HausdorffDistance(num_classes=2, include_background=False, input_format='index')
        masks = [square(width, height, row, column + shift) for shift in (3, 0)]
        metric.update(*(pad(mask, (0, 0, 0, padding)) for mask in masks))
        found.append(round(float(metric.compute()), 1))
    return found


even, wide, padded, small = distances(48, 48), distances(64, 48), distances(64, 48, 16), distances(48, 27)
print('lesion 3 pixels too far to the right, in six places; expected: 3 six times')
print('48 x 48:', *even)
print('64 x 48:', *wide)
print('64 x 48, padded to a square:', *padded)
print('48 x 27:', *small)
assert even == padded == [3.0] * 6
assert 3.0 not in wide and max(wide) == 51.0 and min(wide) > 27
assert max(small) > 40 and min(small) == 0.0
PY
