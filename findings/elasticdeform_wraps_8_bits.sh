#!/usr/bin/env bash
# elasticdeform wraps values that exceed 8 bits: highlights get black spots, and black frames white ones.
#
# Expected: an image of 8 bits comes back within 0 and 255, rounded or clipped, as in SciPy's own transforms.
# Happens: the default is a cubic spline, which overshoots at an edge: 270 becomes 14, and -13 becomes 243. Beside a
#   highlight and a black frame 279 pixels of 4096 are off by more than 100 from the same image as floats, cut to 0 and
#   255; SciPy's map_coordinates, at the same places, is off by none. With order=1, or of floats, it is right. Its page
#   does not mention it; its author warns of integers in its issue 1. No message.
# Versions: elasticdeform 0.5.1 (which needs NumPy 1), SciPy 1.14.1, NumPy 1.26.4.
# Why it matters: endoscopic images are of 8 bits, have highlights and a black frame, and a label map is given
#   beside the image with an order of 0. The augmentation paints specks of the opposite brightness along both
#   edges, at each epoch elsewhere.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   pixels of 4096 that are off by more than 100; expected: 0
#   8 bits, the default order of 3: 279
#   8 bits, order 1: 0
#   SciPy's map_coordinates of 8 bits, order 3: 0
#   as floats, lowest and highest: -13 270
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==1.26.4 scipy==1.14.1 elasticdeform==0.5.1
venv/bin/python -W ignore - <<'PY'
import elasticdeform
import numpy as np
from scipy import ndimage

image = np.full((64, 64), 120, np.uint8)
image[:10] = 0  # the black frame
image[30:45, 20:40] = 255  # a highlight
shifts = np.random.default_rng(0).normal(0, 3, (2, 3, 3))


def moved(values, order):
    return elasticdeform.deform_grid(values, shifts, order=order).astype(float)


def off(made, order):
    """Pixels that differ by more than 100 from those of the floats, cut to what 8 bits hold."""
    return int((np.abs(made.astype(float) - np.clip(moved(image.astype(float), order), 0, 255)) > 100).sum())


rows, columns = (elasticdeform.deform_grid(axis, shifts, order=1) for axis in np.mgrid[:64.0, :64.0])
scipy_made = ndimage.map_coordinates(image, [rows, columns], order=3)
inside = (rows > 0) & (columns > 0)
exact = moved(image.astype(float), 3)
cubic, linear = off(moved(image, 3), 3), off(moved(image, 1), 1)
of_scipy = int((np.abs(scipy_made.astype(float) - np.clip(exact, 0, 255))[inside] > 100).sum())
print('pixels of 4096 that are off by more than 100; expected: 0')
print('8 bits, the default order of 3:', cubic)
print('8 bits, order 1:', linear)
print("SciPy's map_coordinates of 8 bits, order 3:", of_scipy)
print('as floats, lowest and highest:', round(exact.min()), round(exact.max()))
assert linear == of_scipy == 0
assert cubic > 100 and exact.min() < -1 and exact.max() > 256
PY
