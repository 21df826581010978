#!/usr/bin/env bash
# imea's circumscribing and inscribing circles depend on where in the image the lesion lies.
#
# Expected: the circle around a disc of 60 pixels, and the one within it, have a diameter of 60, wherever the disc is.
# Happens: the centre is that of the whole image, the outline that of the object's own box, so that their distance adds
#   to the size: around the disc it is 88 or 176, within it 31 or 57, depending on its place. An object of which the
#   image was cut to its box before is right, and so are the other measures, such as diameter_min_enclosing_circle. No
#   message.
# Versions: imea 0.3.5, scikit-image 0.26.0, NumPy 2.4.6.
# Why it matters: sizes of polyps decide on treatment, and the two diameters are used to describe shape. Both depend on
#   how the endoscope was held.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   a disc of 60 pixels; expected: 60 for each
#   at the upper left: around 88, within 31; smallest circle around it 60
#   in the middle: around 176, within 57; smallest circle around it 60
#   cut to its box: around 60, within 58; smallest circle around it 60
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scikit-image==0.26.0 imea==0.3.5
venv/bin/python -W ignore - <<'PY'
import imea
import numpy as np

rows, columns = np.indices((120, 160))
NAMES = ('diameter_circumscribing_circle', 'diameter_inscribing_circle', 'diameter_min_enclosing_circle')


def diameters(name, mask):
    table = imea.shape_measurements_2d(mask, 1.0)
    found = [round(float(table[column].iloc[0])) for column in NAMES]
    print(f'{name}: around {found[0]}, within {found[1]}; smallest circle around it {found[2]}')
    return found


print('a disc of 60 pixels; expected: 60 for each')
left = (rows - 40) ** 2 + (columns - 40) ** 2 <= 900
middle = (rows - 60) ** 2 + (columns - 80) ** 2 <= 900
at_left, at_middle = diameters('at the upper left', left), diameters('in the middle', middle)
cut = diameters('cut to its box', middle[30:91, 50:111])
assert at_left[2] == at_middle[2] == cut[2] == 60
assert all(abs(diameter - 60) <= 2 for diameter in cut)
assert at_left[0] > 80 and at_middle[0] > 160 and at_left[1] < 35
PY
