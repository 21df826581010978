#!/usr/bin/env bash
# The coefficient of variation by pyfeats does not depend on the variation: it is the root of the median over the mean.
#
# Expected: the standard deviation over the mean: 0 for a lesion of one grey, 0.9 for greys of 10 and 190 in equal parts.
# Happens: FOS_CoefficientOfVariation takes the third feature, the median, where the second, the variance, is meant. Four
#   lesions of mean and median 100 and standard deviations from 0 to 90 have 0.1 all. Two of one grey have 0.2 and
#   0.067. The variance itself is right within 1 %. The page names the feature without a formula. No message.
# Versions: pyfeats 1.0.1, NumPy 2.4.6.
# Why it matters: it is meant as the measure of how uneven a lesion is, without regard to exposure. What is found instead
#   measures exposure, and nothing else where the greys are spread evenly.
# Seen: 2026-12-01, Linux x86-64, Python 3.11, exit status 0. Output:
#   greys; standard deviation by pyfeats; coefficient of variation, by pyfeats
#   100 and 100 : 0.4 0.0 0.1
#   90 and 110 : 10.0 0.1 0.1
#   70 and 130 : 30.1 0.3 0.1
#   10 and 190 : 90.2 0.9 0.1
#   25 and 25 : 0.1 0.0 0.199
#   225 and 225 : 0.9 0.0 0.066
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-image==0.26.0 opencv-python==5.0.0.93 mahotas==1.4.19 pywavelets==1.9.0 \
  matplotlib==3.11.2 setuptools==80.9.0 pyfeats==1.0.1
venv/bin/python -W ignore - <<'PY'
import numpy as np
from pyfeats import fos

mask = np.zeros((30, 40), np.uint8)
mask[10:20, 10:30] = 1


def variation(dark, bright):
    """Features of a lesion of which one half has either grey, in a black image."""
    image = np.zeros(mask.shape, np.uint8)
    image[10:20, 10:20] = dark
    image[10:20, 20:30] = bright
    values, names = fos(image, mask)
    features = dict(zip(names, values))
    deviation, mean = (bright - dark) / 2, (bright + dark) / 2
    found = features['FOS_CoefficientOfVariation']
    print(dark, 'and', bright, ':', round(features['FOS_Variance'] ** 0.5, 1), deviation / mean, round(found, 3))
    assert abs(features['FOS_Variance'] ** 0.5 - deviation) < 1
    # The histogram of pyfeats has bins a little narrower than one grey: its mean is too large by 256 / 255.
    assert np.isclose(found, mean**0.5 / (mean * 256 / 255))
    return round(deviation / mean, 3), round(found, 3)


print('greys; standard deviation by pyfeats; coefficient of variation, by pyfeats')
assert variation(100, 100) == (0, 0.1)
assert variation(90, 110) == (0.1, 0.1)
assert variation(70, 130) == (0.3, 0.1)
assert variation(10, 190) == (0.9, 0.1)
assert variation(25, 25) == (0, 0.199)
assert variation(225, 225) == (0, 0.066)
PY
