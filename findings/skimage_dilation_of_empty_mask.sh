#!/usr/bin/env bash
# When scikit-image's isotropic_dilation dilates an empty mask, a lesion appears in the upper left corner.
#
# Expected: the dilation of an empty mask is empty, and the erosion of a full one treats all four
#   borders alike.
# Happens: isotropic_dilation thresholds a distance map, and where no pixel is set SciPy measures to a point outside,
#   above the first pixel. All pixels within the radius of it turn into lesion: 20 with a radius of 5. isotropic_erosion
#   removes the same 20 from a full mask, and no others. dilation() and erosion() with a disk do neither. No message;
#   the documentation says only that a distance map is thresholded.
# Versions: scikit-image 0.26.0, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: margins and bands of tolerance around lesions are made by this function, as it is
#   the fast one. Each healthy image gets a lesion, at the same place in truth and prediction.
#   Leave empty and full masks out before.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: nothing from an empty mask
#   radius 1: happened 1 lesion pixels, of a full mask 1 gone, dilation() 0, one pixel grows to 5
#   radius 3: happened 7 lesion pixels, of a full mask 7 gone, dilation() 0, one pixel grows to 29
#   radius 5: happened 20 lesion pixels, of a full mask 20 gone, dilation() 0, one pixel grows to 81
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 scikit-image==0.26.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
from skimage.morphology import dilation, disk, erosion, isotropic_dilation, isotropic_erosion

empty, full, dot = np.zeros((40, 40), bool), np.ones((40, 40), bool), np.zeros((40, 40), bool)
dot[20, 20] = True
print('expected: nothing from an empty mask')
for radius in (1, 3, 5):
    grown, shrunk = isotropic_dilation(empty, radius), isotropic_erosion(full, radius)
    print(
        f'radius {radius}: happened {grown.sum()} lesion pixels, of a full mask {(~shrunk).sum()} gone,'
        f' dilation() {dilation(empty, disk(radius)).sum()}, one pixel grows to'
        f' {isotropic_dilation(dot, radius).sum()}'
    )
    assert grown[0, 0] and not grown[radius + 1 :].any() and not grown[:, radius + 1 :].any()
    assert np.array_equal(grown, ~shrunk)
    assert not dilation(empty, disk(radius)).any() and erosion(full, disk(radius)).all()
    # Of a mask that is not empty both are the same.
    assert np.array_equal(isotropic_dilation(dot, radius), dilation(dot, disk(radius)))
PY
