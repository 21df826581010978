#!/usr/bin/env bash
# For a mask that has only small lesions, ANTsPy returns the whole image as the largest component.
#
# Expected: iMath(mask, 'GetLargestComponent') of a mask with one lesion of 49 voxels returns this lesion, or nothing,
#   because it has an option for the smallest size. For an empty mask the result is empty.
# Happens: components below 50 voxels are dropped unless another number is given. If none is left, every voxel of the
#   image is set to 1. The same happens for an empty mask. iMath_get_largest_component, its named form, does the same.
#   With a size of 0 a small lesion is kept, but an empty mask still becomes the whole image. No message.
# Versions: antspyx 0.6.3, NumPy 2.3.5.
# Why it matters: predictions are cleaned in this way. A healthy image that was predicted correctly becomes one large
#   lesion, and so does one with a small polyp: Dice falls from 1 to 0.06 here.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   lesions in an image of 1600 voxels: voxels before and after
#   one of 100: 100 100
#   of 100 and 36: 136 100
#   of 100, smallest 0: 100 100
#   of 49, smallest 0: 49 49
#   of 49: 49 1600
#   of 36 and 16: 52 1600
#   of 100, smallest 200: 100 1600
#   none: 0 1600
#   none, smallest 0: 0 1600
#   Dice of a lesion of 49 that was predicted right, after cleaning: 0.06
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.3.5 scipy==1.15.3 antspyx==0.6.3
ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1 venv/bin/python -W ignore - <<'PY'
import ants
import numpy as np


def kept(sides, *size):
    """Voxels of the lesions and of what is left, in an image of 1600."""
    mask = np.zeros((40, 40), 'float32')
    for place, side in zip((2, 20), sides):
        mask[place : place + side, place : place + side] = 1
    image = ants.from_numpy(mask)
    result = ants.iMath(image, 'GetLargestComponent', *size).numpy()
    if not size:
        assert np.array_equal(ants.iMath_get_largest_component(image).numpy(), result)
    return int(mask.sum()), int(result.sum())


cases = {
    'one of 100': kept([10]),
    'of 100 and 36': kept([10, 6]),
    'of 100, smallest 0': kept([10], 0),
    'of 49, smallest 0': kept([7], 0),
    'of 49': kept([7]),
    'of 36 and 16': kept([6, 4]),
    'of 100, smallest 200': kept([10], 200),
    'none': kept([]),
    'none, smallest 0': kept([], 0),
}
print('lesions in an image of 1600 voxels: voxels before and after')
for name, (before, after) in cases.items():
    print(f'{name}:', before, after)
assert cases['one of 100'] == cases['of 100, smallest 0'] == (100, 100)
assert cases['of 100 and 36'] == (136, 100) and cases['of 49, smallest 0'] == (49, 49)
whole = ['of 49', 'of 36 and 16', 'of 100, smallest 200', 'none', 'none, smallest 0']
assert all(cases[name][1] == 1600 for name in whole)
dice = 2 * 49 / (49 + 1600)
print('Dice of a lesion of 49 that was predicted right, after cleaning:', round(dice, 2))
PY
