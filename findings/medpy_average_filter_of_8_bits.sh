#!/usr/bin/env bash
# MedPy's average filter of an 8-bit image adds up modulo 256: a uniform grey of 200 becomes 0.9.
#
# Expected: average_filter gives the mean of each neighbourhood, of 8 bits too: 200 where all is 200.
# Happens: the sum is kept in the type of the image before it is divided, and wraps: 9 times 200 is 8 modulo 256, and 8
#   / 9 is 0.9. Of 3 x 3 pixels every mean above 28 is wrong, and whatever is found lies below 29. sum_filter wraps as
#   well. For floats both agree with SciPy. The help does not mention types. No message.
# Versions: medpy 0.5.2, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: local means are features of texture, and smooth an image before a threshold. Endoscopic images
#   are of 8 bits; masks of 0 and 255, of which the mean is the share of lesion, are as well.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   mean of an even grey of 200, as floats and as 8 bits: 200.0 0.9
#   sum of 3 x 3 of them: 1800 8
#   pixels of 4096 that differ from SciPy in noise, as floats and as 8 bits: 0 4096
#   the same, ten times as dark: 0 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 setuptools==80.9.0 medpy==0.5.2
venv/bin/python -W ignore - <<'PY'
import numpy as np
from medpy.filter import average_filter, sum_filter
from scipy import ndimage

grey = np.full((20, 20), 200, np.uint8)
noise = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)


def off(image):
    """Pixels of which the mean differs from SciPy's of floats: of the image as floats, and as 8 bits."""
    exact = ndimage.uniform_filter(image.astype(float), 3)
    return [int((np.abs(average_filter(kind, 3) - exact) > 1).sum()) for kind in (image.astype(float), image)]


mean, of_floats = average_filter(grey, 3), average_filter(grey.astype(float), 3)
print('mean of an even grey of 200, as floats and as 8 bits:', round(of_floats[5, 5], 1), round(mean[5, 5], 1))
assert np.allclose(of_floats, 200) and np.allclose(mean, (9 * 200 % 256) / 9)
print('sum of 3 x 3 of them:', int(sum_filter(grey.astype(float), 3)[5, 5]), int(sum_filter(grey, 3)[5, 5]))
assert (sum_filter(grey, 3) == 9 * 200 % 256).all()
as_floats, as_bytes = off(noise)
print('pixels of 4096 that differ from SciPy in noise, as floats and as 8 bits:', as_floats, as_bytes)
assert as_floats == 0 and as_bytes > 4000
dark = off(noise // 10)
print('the same, ten times as dark:', *dark)
assert dark == [0, 0]
PY
