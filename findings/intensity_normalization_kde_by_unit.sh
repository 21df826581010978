#!/usr/bin/env bash
# intensity-normalization finds the mode of white matter only where intensities are small numbers.
#
# Expected: the KDE method divides an image by the mode of its tissue, the highest one of a T1 image, and so
#   takes its unit away: an image and a thousand times the image become the same one.
# Happens: a width in units of intensity, the maximum divided by 80, is handed to SciPy as bw_method, which multiplies
#   it by the standard deviation of the image. For intensities up to 1 the mode is right, for hundreds the three tissues
#   are one broad hill, and its top is taken: white matter of 900 is 1.40 where it should be 1.00, and 1.34 of a tenth
#   of the image. The same holds for arrays and for nibabel images. WhiteStripe, which leaves the width to SciPy, is
#   right. No message.
# Versions: intensity-normalization 3.0.1, nibabel 5.4.2, SciPy 1.17.1, scikit-fuzzy 0.5.0, NumPy 2.4.6.
# Why it matters: MR images hold numbers in the hundreds, and their unit is what differs between scanners. The step that
#   is meant to make hospitals comparable divides each by a number that depends on its unit and its contrast.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: white matter 1.0, whatever the unit; mode by WhiteStripe 900
#   times 1: 1.4, nibabel 1.4, mode by WhiteStripe 900
#   times 0.1: 1.34, nibabel 1.34, mode by WhiteStripe 900
#   times 0.001: 1.0, nibabel 1.0, mode by WhiteStripe 900
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 nibabel==5.4.2 scikit-fuzzy==0.5.0 intensity-normalization==3.0.1
venv/bin/python -W ignore - <<'PY'
import nibabel
import numpy as np
from intensity_normalization import WhiteStripeNormalizer, create_image, normalize_image

rng = np.random.default_rng(0)
PEAKS = {300: 3000, 600: 4000, 900: 5000}  # fluid, grey matter, white matter, and their voxels
image = np.concatenate([rng.normal(peak, 30, voxels) for peak, voxels in PEAKS.items()]).reshape(20, 20, 30)
white = image.ravel().argsort()[-5000:]


def white_matter(unit):
    """Its median after the KDE method, as an array and as a nibabel image, and the mode by WhiteStripe."""
    given = image * unit, nibabel.Nifti1Image(image * unit, np.eye(4))
    normalised = [normalize_image(one, method='kde', modality='t1').get_data() for one in given]
    stripe = WhiteStripeNormalizer().fit(create_image(image * unit))
    values = [np.median(data.ravel()[white]) for data in normalised]
    return *(round(float(value), 2) for value in values), round(stripe.mean / unit)


results = {unit: white_matter(unit) for unit in (1, 0.1, 0.001)}
print('expected: white matter 1.0, whatever the unit; mode by WhiteStripe 900')
for unit, (array, volume, stripe) in results.items():
    print(f'times {unit}: {array}, nibabel {volume}, mode by WhiteStripe {stripe}')
assert results[0.001][:2] == (1, 1)
assert all(stripe == 900 for _, _, stripe in results.values())
assert all(results[unit][0] == results[unit][1] > 1.3 for unit in (1, 0.1))
assert results[1][0] != results[0.1][0]
PY
