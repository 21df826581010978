#!/usr/bin/env bash
# PlatiPy computes specificity within the bounding box of both masks, and outlines end at that box.
#
# Expected: compute_metric_specificity(truth, found) is the share of healthy voxels of the image that are
#   predicted healthy, and compute_metric_masd a mean of distances, so that it is at most the largest one.
# Happens: both crop to the smallest box that holds the two masks (auto_crop=True, which the help does not
#   mention). Most of the background is gone: of a ball that is found 3 voxels aside the specificity is 0.855,
#   not 0.991, and of a cuboid 0.0, with compute_volume_metrics of the same package at 0.997. At the edge
#   of the box a mask has no outline any more: the mean distance of the cuboids is 6, the largest one 3.
#   With auto_crop=False all are as expected.
# Versions: platipy 0.7.2, SimpleITK 2.5.7, NumPy 2.4.6.
# Why it matters: the background that counts is chosen by the prediction. The farther a false alarm lies
#   from the lesion, the larger is the box and the better the specificity.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   specificity; mean and largest distance
#   ball, auto_crop=False: 0.991; 1.222 3.0
#   ball: 0.855; 1.222 3.0
#   cuboid, auto_crop=False: 0.997; 1.074 3.0
#   cuboid: 0.0; 6.0 3.0
#   false alarm nearby: 0.992; 0.148 7.55
#   the same far off: 0.997; 0.349 21.954
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 simpleitk==2.5.7 platipy==0.7.2
venv/bin/python -W ignore - <<'PY'
import numpy as np
import SimpleITK as sitk
from platipy.imaging.label import comparison

planes, rows, columns = np.indices((48, 48, 48)) - 24
ball = planes**2 + rows**2 + columns**2 <= 100
cuboid = np.zeros((48, 48, 48), bool)
cuboid[20:30, 20:30, 20:30] = True


def measures(name, truth, found, **crop):
    images = [sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (truth, found)]
    values = [
        comparison.compute_metric_specificity(*images, **crop),
        comparison.compute_metric_masd(*images, **crop),
        comparison.compute_metric_hd(*images, **crop),
    ]
    values = [round(float(value), 3) for value in values]
    print(f'{name}: {values[0]}; {values[1]} {values[2]}')
    return images, values


print('specificity; mean and largest distance')
results = {}
for name, mask in dict(ball=ball, cuboid=cuboid).items():
    aside = np.roll(mask, 3, axis=2)
    images, whole = measures(f'{name}, auto_crop=False', mask, aside, auto_crop=False)
    volume = comparison.compute_volume_metrics(*images)['trueNegativeFraction']
    assert whole[0] == round(float(volume), 3) and whole[1] < whole[2] == 3
    results[name] = measures(name, mask, aside)[1]
assert results['ball'] == [0.855, 1.222, 3]
assert results['cuboid'] == [0, 6, 3]
alarm = ball.copy()
alarm[22:26, 22:26, 38:42] = True
far = ball.copy()
far[40:44, 40:44, 38:42] = True
near, away = measures('false alarm nearby', ball, alarm)[1], measures('the same far off', ball, far)[1]
assert near[0] < away[0]
PY
