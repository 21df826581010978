#!/usr/bin/env bash
# scikit-image's remove_small_holes fills an empty patch, and corners of an image, as if they were holes.
#
# Expected: a hole is enclosed by the lesion, as for SciPy's binary_fill_holes. The documentation says
#   "holes within connected components".
# Happens: remove_small_holes fills every piece of background that is small enough, at the border as
#   well. With max_size=500 a corner of 64 pixels beside a lesion is filled, and a patch of 20 x 20
#   without any lesion comes back as lesion altogether. No message.
# Versions: scikit-image 0.26.0, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: predictions of patches, and cut-outs of slides, are cleaned before they are put
#   together: healthy ones turn to lesion. Fill with binary_fill_holes, or clean the whole image.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: filled where enclosed: hole 1600, corner 1536, empty 0
#   happened: {'hole': 1600, 'corner': 1600, 'empty': 400}
#   SciPy: {'hole': 1600, 'corner': 1536, 'empty': 0}
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 scikit-image==0.26.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
from scipy.ndimage import binary_fill_holes
from skimage.morphology import remove_small_holes

corner = np.ones((40, 40), bool)
corner[:8, :8] = False
inside = np.ones((40, 40), bool)
inside[10:18, 10:18] = False
patch = np.zeros((20, 20), bool)
masks = dict(hole=inside, corner=corner, empty=patch)
print('expected: filled where enclosed: hole 1600, corner 1536, empty 0')
happened = {name: int(remove_small_holes(mask, max_size=500).sum()) for name, mask in masks.items()}
print('happened:', happened)
print('SciPy:', {name: int(binary_fill_holes(mask).sum()) for name, mask in masks.items()})
assert happened == dict(hole=1600, corner=1600, empty=400)
assert binary_fill_holes(inside).all()
assert all(np.array_equal(binary_fill_holes(mask), mask) for mask in (corner, patch))
PY
