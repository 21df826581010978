#!/usr/bin/env bash
# SimpleITK's median of a lesion moves with its brightest pixel.
#
# Expected: the median of a region is one of its values, and one extreme pixel does not matter: that is why the median
#   is used.
# Happens: LabelIntensityStatistics divides the range of the region into 128 bins and returns the centre of one. 99
#   pixels of 40 HU and one of 3000 HU have a median of 51.6, with one of -1000 HU 35.9; without such a pixel it is 40.
#   The help of GetMedian does not say so, that of SetNumberOfBins hints at it. GetMean is exact.
# Versions: SimpleITK 2.5.7, NumPy 2.4.6.
# Why it matters: medians and quartiles of lesions are radiomic features and go into tables beside
#   exact ones of NumPy. A clip or a reflection shifts the median of all other pixels, and two
#   readers' masks, which differ by that pixel, differ in it.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: 40 each time; NumPy and SimpleITK:
#   39 to 41: (40.0, 40.01)
#   one of 3000: (40.0, 51.56)
#   one of -1000: (40.0, 35.94)
#   one of 3000, 10,000 bins: (40.0, 40.15)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 simpleitk==2.5.7
venv/bin/python -W ignore - <<'PY'
import numpy as np
import SimpleITK


def medians(values, bins=None):
    values = np.asarray(values, np.int16).reshape(10, 10)
    labels = SimpleITK.GetImageFromArray(np.ones_like(values, np.uint8))
    statistics = SimpleITK.LabelIntensityStatisticsImageFilter()
    if bins:
        statistics.SetNumberOfBins(bins)
    statistics.Execute(labels, SimpleITK.GetImageFromArray(values))
    assert np.isclose(statistics.GetMean(1), values.mean())
    return float(np.median(values)), round(statistics.GetMedian(1), 2)


plain = medians([39] * 10 + [40] * 80 + [41] * 10)
metal = medians([40] * 99 + [3000])
air = medians([40] * 99 + [-1000])
print('expected: 40 each time; NumPy and SimpleITK:')
print('39 to 41:', plain)
print('one of 3000:', metal)
print('one of -1000:', air)
print('one of 3000, 10,000 bins:', medians([40] * 99 + [3000], 10_000))
assert plain[0] == metal[0] == air[0] == 40 and abs(plain[1] - 40) < 0.1
assert metal[1] > 50
assert air[1] < 37
PY
