#!/usr/bin/env bash
# scikit-image's label2rgb gives a class different colours, depending on which other classes are in the picture.
#
# Expected: label2rgb(labels, colors=['red', 'lime']) draws class 1 red and class 2 green.
# Happens: colours are handed out to the labels that occur, in order. Class 2 is green beside class 1,
#   and red where it is alone. The same lesion is shown in two colours. The help says
#   of `colors` that they are cycled where there are too few, no more.
# Versions: scikit-image 0.26.0, NumPy 2.4.6.
# Why it matters: pictures of predictions beside the truth are what people look at. A model that confuses an adenoma
#   with a hyperplastic polyp gets the colour of the truth, and the error is not seen.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   classes 1 and 2: expected red, green; happened red green
#   classes 1 and 1: expected red, red; happened red red
#   classes 2 and 2: expected green, green; happened red red
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scikit-image==0.26.0
venv/bin/python - <<'PY'
import numpy as np
from skimage.color import label2rgb

NAMES = {(0, 0, 0): 'black', (1, 0, 0): 'red', (0, 1, 0): 'green'}


def drawn(first, second):
    """Colours of two lesions of these classes on background."""
    labels = np.zeros((8, 16), int)
    labels[2:6, 2:6], labels[2:6, 10:14] = first, second
    picture = label2rgb(labels, colors=['red', 'lime'], bg_label=0)
    return tuple(NAMES[tuple(picture[3, column].astype(int))] for column in (3, 11))


print('classes 1 and 2: expected red, green; happened', *drawn(1, 2))
print('classes 1 and 1: expected red, red; happened', *drawn(1, 1))
print('classes 2 and 2: expected green, green; happened', *drawn(2, 2))
assert drawn(1, 2) == ('red', 'green')
assert drawn(1, 1) == drawn(2, 2) == ('red', 'red')
assert 'cycled' in label2rgb.__doc__ and 'present' not in label2rgb.__doc__
PY
