#!/usr/bin/env bash
# The Haralick features of a lesion by HistomicsTK are those of its bounding box and of one more row and column.
#
# Expected: the co-occurrence is counted "in the region occupied by an object", as its help says: a lesion of one grey has a
#   contrast of 0 and an ASM of 1 on any background.
# Happens: the pixels of the box are counted without the mask, and the box is cut out one pixel too large at the right and
#   the bottom. A lesion of one grey has a contrast of 18.7 on black; a square that fills its box has 12.8; a disc
#   and the square around it have the same 26 features in noise. The intensity features of the same package use the mask. No
#   message.
# Versions: histomicstk 1.4.0, scikit-image 0.26.0, NumPy 2.4.6.
# Why it matters: the texture of a lesion then tells its background and its shape: the rounder or more slanted, the more of
#   the mucosa around it is measured.
# Seen: 2026-12-01, Linux x86-64, Python 3.11, exit status 0. Output:
#   a lesion of grey 100: contrast, ASM, and its standard deviation by the intensity features
#   disc on 100: 0.0 1.0 0.0
#   disc on 0: 18.727 0.439 0.0
#   square on 100: 0.0 1.0 0.0
#   square on 0: 12.813 0.782 0.0
#   Haralick features of 26 that differ between a disc and the square around it, in noise: 0
#   intensity features of 12 that differ: 10
# The package is installed without its readers of slides, of which the import of this function needs only the names.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-image==0.26.0 pandas==3.1.1 shapely==2.2.0 large-image==1.35.6 ctk-cli==1.5
venv/bin/pip install --quiet --disable-pip-version-check --no-deps girder-slicer-cli-web==5.0.21 histomicstk==1.4.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
from histomicstk.features import compute_haralick_features, compute_intensity_features

rows, columns = np.mgrid[:40, :40]
disc = ((rows - 20) ** 2 + (columns - 20) ** 2 <= 8**2).astype(int)
square = np.zeros_like(disc)
square[12:28, 12:28] = 1
around = np.zeros_like(disc)
around[12:29, 12:29] = 1


def texture(name, mask, background):
    image = np.where(mask, 100, background).astype(np.uint8)
    found = compute_haralick_features(mask, image).iloc[0]
    spread = compute_intensity_features(mask, image)['Intensity.Std'].iloc[0]
    values = [round(float(v), 3) for v in (found['Haralick.Contrast.Mean'], found['Haralick.ASM.Mean'], spread)]
    print(f'{name} on {background}:', *values)
    return values


print('a lesion of grey 100: contrast, ASM, and its standard deviation by the intensity features')
assert texture('disc', disc, 100) == [0, 1, 0]
assert texture('disc', disc, 0) == [18.727, 0.439, 0]
assert texture('square', square, 100) == [0, 1, 0]
# 17 x 17 pixels are cut out, of which the last row and column are background. The grey 100 is level 12 of 31. Pairs across
# the edge: 16 of 272 to the right and as many down, 31 of 256 on one diagonal, 30 of 256 on the other.
contrast = 12**2 * (16 / 272 + 16 / 272 + 31 / 256 + 30 / 256) / 4
assert texture('square', square, 0) == [round(contrast, 3), 0.782, 0]

noise = np.random.default_rng(0).integers(0, 256, (40, 40)).astype(np.uint8)


def differing(features):
    return int((features(disc, noise).iloc[0] != features(around, noise).iloc[0]).sum())


print('Haralick features of 26 that differ between a disc and the square around it, in noise:',
      differing(compute_haralick_features))
print('intensity features of 12 that differ:', differing(compute_intensity_features))
assert differing(compute_haralick_features) == 0
assert differing(compute_intensity_features) > 0
PY
