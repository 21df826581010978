#!/usr/bin/env bash
# Some of SimpleITK's binary filters treat 255 as background.
#
# Expected: a mask of 0 and 255, as every PNG holds it, is filtered like one of 0 and 1, or refused.
# Happens: foregroundValue is 1 by default. BinaryDilate, BinaryErode, BinaryFillhole, closing and BinaryContour return
#   the mask unchanged, including its hole, and BinaryMedian removes it. In the same package LabelContour and
#   BinaryThinning treat both as foreground. No message; the signature shows the value.
# Versions: SimpleITK 2.5.7, NumPy 2.4.6.
# Why it matters: holes stay, "the outline" is the whole area, and a smoothed mask is empty, depending on the format of
#   a hospital's masks. Compare with 0 first.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: as many pixels of 0 and 255 as of 0 and 1; the mask has 99
#   BinaryDilate: 144 of 0 and 1, 99 of 0 and 255
#   BinaryErode: 55 of 0 and 1, 99 of 0 and 255
#   BinaryFillhole: 100 of 0 and 1, 99 of 0 and 255
#   BinaryMorphologicalClosing: 100 of 0 and 1, 99 of 0 and 255
#   BinaryContour: 40 of 0 and 1, 99 of 0 and 255
#   BinaryMedian: 96 of 0 and 1, 0 of 0 and 255
#   LabelContour: 40 of 0 and 1, 40 of 0 and 255
#   BinaryThinning: 8 of 0 and 1, 8 of 0 and 255
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 SimpleITK==2.5.7
venv/bin/python -W ignore - <<'PY'
import numpy as np
import SimpleITK as sitk

mask = np.zeros((30, 30), np.uint8)
mask[10:20, 10:20] = 1
mask[14, 14] = 0
FILTERS = [
    'BinaryDilate', 'BinaryErode', 'BinaryFillhole', 'BinaryMorphologicalClosing', 'BinaryContour',
    'BinaryMedian', 'LabelContour', 'BinaryThinning',
]


def pixels(name, array):
    filtered = getattr(sitk, name)(sitk.GetImageFromArray(array))
    return int((sitk.GetArrayFromImage(filtered) != 0).sum())


print('expected: as many pixels of 0 and 255 as of 0 and 1; the mask has', int(mask.sum()))
counts = {name: (pixels(name, mask), pixels(name, 255 * mask)) for name in FILTERS}
for name, (of_one, of_255) in counts.items():
    print(f'{name}: {of_one} of 0 and 1, {of_255} of 0 and 255')
assert all(a != 99 and b == 99 for a, b in list(counts.values())[:5])
assert counts['BinaryMedian'] == (96, 0)
assert all(a == b for a, b in list(counts.values())[6:])
eroded = sitk.BinaryErode(sitk.GetImageFromArray(255 * mask), foregroundValue=255)
assert (sitk.GetArrayFromImage(eroded) != 0).sum() == counts['BinaryErode'][0]
PY
