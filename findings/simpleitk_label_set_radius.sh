#!/usr/bin/env bash
# SimpleITK's LabelSetDilate and LabelSetErode change nothing at their default radius of 1.
#
# Expected: LabelSetDilate(labels) and LabelSetErode(labels), of which the default radius is 1, move each outline by
#   one pixel, as BinaryDilate and BinaryErode by 1 do.
# Happens: the labels come back as they were. With a radius of 2 outlines move by 1, with 3 by 2: pixels at exactly the
#   distance of the radius are left out. The radius is a whole number of millimetres by default (useImageSpacing=True),
#   so that with pixels of 2 mm a radius of 2 does nothing, either, and 3 moves outlines by one pixel.
# Versions: SimpleITK 2.5.7, NumPy 2.4.6.
# Why it matters: a margin around each lesion, or a band at its edge that is left out of a score, is one pixel narrower
#   than asked for, and a band of one pixel does not exist at all. These two filters are meant for several labels at
#   once.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   how far the outline of a square of 10 x 10 pixels moves
#   BinaryDilate and BinaryErode by 1, 2, 3: 1 2 3 and 1 2 3
#   LabelSetDilate and LabelSetErode by 1, 2, 3: 0 1 2 and 0 1 2
#   LabelSetDilate of pixels of 2 mm by 1, 2, 3: 0 0 1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 simpleitk==2.5.7
venv/bin/python - <<'PY'
import numpy as np
import SimpleITK as sitk

labels = np.zeros((60, 60), np.uint8)
labels[25:35, 25:35] = 1


def width(image):
    return int(sitk.GetArrayFromImage(image).any(axis=0).sum())


def moved(change, spacing, *radii):
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing((spacing, spacing))
    return [abs(width(change(image, [radius, radius])) - 10) // 2 for radius in radii]


print('how far the outline of a square of 10 x 10 pixels moves')
dilated, eroded = moved(sitk.BinaryDilate, 1, 1, 2, 3), moved(sitk.BinaryErode, 1, 1, 2, 3)
print('BinaryDilate and BinaryErode by 1, 2, 3:', *dilated, 'and', *eroded)
assert dilated == eroded == [1, 2, 3]
dilated, eroded = moved(sitk.LabelSetDilate, 1, 1, 2, 3), moved(sitk.LabelSetErode, 1, 1, 2, 3)
print('LabelSetDilate and LabelSetErode by 1, 2, 3:', *dilated, 'and', *eroded)
assert dilated == eroded == [0, 1, 2]
coarse = moved(sitk.LabelSetDilate, 2, 1, 2, 3)
print('LabelSetDilate of pixels of 2 mm by 1, 2, 3:', *coarse)
assert coarse == [0, 0, 1]
assert width(sitk.LabelSetDilate(sitk.GetImageFromArray(labels))) == 10
PY
