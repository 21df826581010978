#!/usr/bin/env bash
# Smoothing a mask with SciPy's Gaussian filter removes a rim of four sigma.
#
# Expected: gaussian_filter(mask, 3) > 0.5 rounds corners and leaves the lesion about as large as it is,
#   whatever the type of the mask.
# Happens: the result has the type of the input, and the weighted sums are truncated to it: for booleans, and for
#   integers 0 and 1, every sum below 1 becomes 0. Only pixels without background within 12 pixels remain: 16 x 16 of a
#   lesion of 40 x 40 pixels, and nothing of one of 20 x 20. As floats, or as 0 and 255, it is as expected. The same for
#   uniform_filter, by half of its size. The help states the type of the result, and that low precision makes it
#   imprecise.
# Versions: SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: that line is how masks and predictions are commonly smoothed, and `probability > 0.5` is
#   boolean. Small lesions are gone, large ones lose a fixed rim, and no message says so.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   pixels of a lesion of 40 x 40 and of one of 20 x 20, smoothed; expected: about 1600 and 400
#   floats: 1568 368
#   0 and 255: 1568 368
#   booleans, output=float: 1568 368
#   booleans: 256 0
#   0 and 1: 256 0
#   booleans, uniform_filter: 1024 144
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1
venv/bin/python -W ignore - <<'PY'
import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter


def square(side):
    mask = np.zeros((80, 80), bool)
    mask[20 : 20 + side, 20 : 20 + side] = True
    return mask


def left(name, smooth):
    """Pixels that are left of either lesion."""
    result = [int(smooth(square(side)).sum()) for side in (40, 20)]
    print(f'{name}:', *result)
    return result


print('pixels of a lesion of 40 x 40 and of one of 20 x 20, smoothed; expected: about 1600 and 400')
floats = left('floats', lambda mask: gaussian_filter(mask.astype(float), 3) > 0.5)
scaled = left('0 and 255', lambda mask: gaussian_filter(mask.astype(np.uint8) * 255, 3) > 127)
output = left('booleans, output=float', lambda mask: gaussian_filter(mask, 3, output=float) > 0.5)
booleans = left('booleans', lambda mask: gaussian_filter(mask, 3) > 0.5)
integers = left('0 and 1', lambda mask: gaussian_filter(mask.astype(np.uint8), 3) > 0.5)
box = left('booleans, uniform_filter', lambda mask: uniform_filter(mask, 9) > 0.5)
assert floats == output and min(floats[0], scaled[0]) > 1550 and min(floats[1], scaled[1]) > 360
assert booleans == integers == [16 * 16, 0]
assert box == [32 * 32, 12 * 12]
PY
