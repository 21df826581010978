#!/usr/bin/env bash
# The majority filter of Mahotas removes a rim from every mask at the image border, and one more row on two sides.
#
# Expected: a pixel is positive if most pixels of the square of size N around it are, as the help says: an
#   image that is all lesion stays so, and a mirrored mask is filtered to the mirrored result.
# Happens: what is nearer to the border than N // 2 is set to background, and at the right and the lower border one row
#   and column more. Of a full image of 40 x 40 pixels 1369 remain, not 1600; of the half that is lesion at the left 19
#   x 19, of the one at the right 18. The help does not mention it.
# Versions: mahotas 1.4.19, NumPy 2.4.6.
# Why it matters: such a filter clears speckle off a prediction, and large lesions of endoscopy reach the
#   border of the image. Pad the mask by its edge before, and crop after.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   rows and columns of lesion, from and to
#   a square within, size 3: expected and happened (10, 29) (10, 29)
#   full image, size 3: expected (0, 39) (0, 39), happened (1, 37) (1, 37)
#   full image, size 5: expected (0, 39) (0, 39), happened (2, 36) (2, 36)
#   full image, size 7: expected (0, 39) (0, 39), happened (3, 35) (3, 35)
#   lesion at the left, size 3: expected columns from 0, happened (10, 29) (1, 19)
#   mirrored: expected columns to 39, happened (10, 29) (20, 37)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 mahotas==1.4.19
venv/bin/python - <<'PY'
import mahotas
import numpy as np


def rows_and_columns(size, mask):
    rows, columns = np.nonzero(mahotas.majority_filter(mask, size))
    return (int(rows.min()), int(rows.max())), (int(columns.min()), int(columns.max()))


full = np.ones((40, 40), bool)
inner = np.zeros((40, 40), bool)
inner[10:30, 10:30] = True
speckled = inner.copy()
speckled[20, 20], speckled[5, 5] = False, True
left = np.zeros((40, 40), bool)
left[10:30, :20] = True

print('rows and columns of lesion, from and to')
print('a square within, size 3: expected and happened', *rows_and_columns(3, inner))
for size in (3, 5, 7):
    print(f'full image, size {size}: expected (0, 39) (0, 39), happened', *rows_and_columns(size, full))
print('lesion at the left, size 3: expected columns from 0, happened', *rows_and_columns(3, left))
print('mirrored: expected columns to 39, happened', *rows_and_columns(3, left[:, ::-1].copy()))
filtered = mahotas.majority_filter(speckled, 3)
assert filtered[20, 20] and not filtered[5, 5]  # clears speckle, where the border is far
assert rows_and_columns(3, inner) == ((10, 29), (10, 29))
for size in (3, 5, 7):
    first, last = size // 2, 39 - size // 2 - 1
    assert rows_and_columns(size, full) == ((first, last), (first, last))
assert rows_and_columns(3, left)[1] == (1, 19)
assert rows_and_columns(3, left[:, ::-1].copy())[1] == (20, 37)
assert 'border' not in mahotas.majority_filter.__doc__
PY
