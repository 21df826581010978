#!/usr/bin/env bash
# Pillow renumbers the labels of a mask that it saves as GIF, if the mask is small.
#
# Expected: a palette image has the same indices after saving and loading: GIF is lossless.
# Happens: unused colours are dropped and the others move up: labels 0, 2 and 5 are 0, 1 and 2 after loading. The
#   colours stay, so that the picture looks the same. From 512 x 512 pixels on the indices are kept; with
#   optimize=False, and in PNG with optimize=True and TIFF, always. The documentation describes optimize as an option,
#   but does not say that GIF sets it.
# Versions: Pillow 13.0.0, NumPy 2.4.6.
# Why it matters: which class a number stands for depends on which classes the image holds, and on
#   its size. Public sets have masks as GIF. Save PNG; of a GIF read the colours.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: labels 0, 2 and 5
#   happened: [0, 1, 2]
#   512 pixels across: [0, 2, 5]
#   optimize=False: [0, 2, 5]
#   PNG, optimize=True: [0, 2, 5]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0
venv/bin/python -W ignore - <<'PY'
import io

import numpy as np
from PIL import Image

PALETTE = [0, 0, 0, 230, 0, 0, 0, 230, 0, 0, 0, 230, 230, 230, 0, 0, 230, 230]


def read_back(values, size, format, **options):
    labels = np.zeros((size, size), np.uint8)
    for row, value in enumerate(values):
        labels[row * 5 : row * 5 + 5] = value
    image = Image.fromarray(labels).convert('P')
    image.putpalette(PALETTE)
    file = io.BytesIO()
    image.save(file, format, **options)
    read = Image.open(file)
    assert read.mode == 'P'
    # The picture is the same; what changes is the number of each colour.
    assert np.array_equal(read.convert('RGB'), image.convert('RGB'))
    return [int(value) for value in np.unique(np.asarray(read))]


print('expected: labels 0, 2 and 5')
print('happened:', read_back([0, 2, 5], 500, 'GIF'))
print('512 pixels across:', read_back([0, 2, 5], 512, 'GIF'))
print('optimize=False:', read_back([0, 2, 5], 500, 'GIF', optimize=False))
print('PNG, optimize=True:', read_back([0, 2, 5], 500, 'PNG', optimize=True))
assert read_back([0, 2, 5], 500, 'GIF') == [0, 1, 2]
assert read_back([0, 1, 2], 500, 'GIF') == [0, 1, 2]
assert read_back([0, 2, 5], 512, 'GIF') == [0, 2, 5]
for format, options in (('GIF', dict(optimize=False)), ('PNG', dict(optimize=True)), ('TIFF', {})):
    assert read_back([0, 2, 5], 500, format, **options) == [0, 2, 5]
PY
