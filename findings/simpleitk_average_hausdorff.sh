#!/usr/bin/env bash
# SimpleITK's average Hausdorff distance shrinks as the lesion grows.
#
# Expected: the mean distance between the two outlines. A mask that is moved by 4 pixels is as
#   wrong for a small lesion as for a large one.
# Happens: HausdorffDistanceImageFilter averages over all pixels of a mask, and those within the other mask have
#   distance 0. Moved by 4 pixels, a square of 20 has 0.5, one of 120 has 0.083; the means over the outlines are 2.0 and
#   2.0. Of the two directions it takes the larger one. The maximum, GetHausdorffDistance(), is 4 for both, as expected.
# Versions: SimpleITK 2.5.7, NumPy 2.4.6, SciPy 1.17.1.
# Why it matters: a table of average Hausdorff distances ranks hospitals by the size of their
#   lesions, and has another unit than one of average surface distances (MONAI, MedPy).
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: one average for every size
#   side: maximum, average of SimpleITK, mean of the outlines
#   20: 4.0 0.5 2.0
#   60: 4.0 0.1667 2.0
#   120: 4.0 0.0833 2.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 SimpleITK==2.5.7
venv/bin/python -W ignore - <<'PY'
import numpy as np
import SimpleITK as sitk
from scipy import ndimage


def outline(mask):
    return mask & ~ndimage.binary_erosion(mask)


def mean_outline_distance(one, other):
    pairs = (outline(one), outline(other)), (outline(other), outline(one))
    return np.mean([ndimage.distance_transform_edt(~to)[of].mean() for of, to in pairs])


def distances(side, shift=4):
    truth = np.zeros((200, 200), bool)
    truth[20 : 20 + side, 20 : 20 + side] = True
    moved = np.roll(truth, shift, axis=1)
    hausdorff = sitk.HausdorffDistanceImageFilter()
    hausdorff.Execute(*(sitk.GetImageFromArray(m.astype(np.uint8)) for m in (truth, moved)))
    return (
        hausdorff.GetHausdorffDistance(),
        round(hausdorff.GetAverageHausdorffDistance(), 4),
        round(float(mean_outline_distance(truth, moved)), 4),
    )


print('expected: one average for every size')
print('side: maximum, average of SimpleITK, mean of the outlines')
found = {side: distances(side) for side in (20, 60, 120)}
for side, values in found.items():
    print(f'{side}:', *values)
assert {values[0] for values in found.values()} == {4.0}
assert [values[1] for values in found.values()] == [0.5, 0.1667, 0.0833]
outlines = [values[2] for values in found.values()]
assert max(outlines) - min(outlines) < 0.2
PY
