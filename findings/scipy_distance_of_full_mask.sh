#!/usr/bin/env bash
# SciPy's distance transform of a mask without background measures to a pixel outside.
#
# Expected: an error, infinity, or one value that is not a distance.
# Happens: distance_transform_edt gives distances to a point above the first pixel, which
#   grow smoothly from the upper left corner and look real. In the same module
#   distance_transform_cdt gives -1 and distance_transform_bf about 1.3e154.
# Versions: SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: surface distances, HD95 and boundary losses take this transform of "not
#   the outline". Where a network found nothing there is no outline, and the distance of a
#   missed lesion then depends on its place in the image: 2.2 here, 10.6 there.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: no finite positive distance
#   edt, corners: 1.0 7.0710678118654755 8.0 10.63
#   cdt: {-1}  bf: {1.3407807929942596e+154}
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1
venv/bin/python -W ignore - <<'PY'
import numpy as np
from scipy import ndimage

full = np.ones((8, 8), bool)
exact = ndimage.distance_transform_edt(full)
chamfer = ndimage.distance_transform_cdt(full)
brute = ndimage.distance_transform_bf(full)
rows, columns = np.mgrid[:8, :8]
print('expected: no finite positive distance')
print('edt, corners:', exact[0, 0], exact[0, 7], exact[7, 0], exact[7, 7].round(3))
print('cdt:', set(chamfer.ravel().tolist()), ' bf:', set(brute.ravel().tolist()))
assert np.allclose(exact, np.hypot(rows + 1, columns))
assert set(chamfer.ravel().tolist()) == {-1}
assert brute.min() > 1e100
PY
