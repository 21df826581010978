#!/usr/bin/env bash
# ImageHash's perceptual hashes of different 16-bit images are the same where their values exceed 255.
#
# Expected: imagehash.phash() of a 16-bit grey image is that of the same image in 8 bits.
# Happens: it converts to 8 bits by clipping at 255, not by scaling. Two different 16-bit images turn into the same
#   white square: distance 0. In 8 bits they are far apart.
# Versions: ImageHash 4.3.2, Pillow 13.0.0, NumPy 2.4.6, SciPy 1.17.1.
# Why it matters: a search for near copies between training and test images names pairs
#   of 16-bit images that have nothing in common. Scale to 8 bits first.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: the distance in 16 bits is that in 8 bits: 29 of 64
#   happened in 16 bits: 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 scipy==1.17.1 ImageHash==4.3.2
venv/bin/python -W ignore - <<'PY'
import imagehash
import numpy as np
from PIL import Image

rows, columns = np.mgrid[:64, :64]
one = 20000 + 10000 * np.sin(columns / 9)
other = 20000 + 10000 * np.sin(rows / 3 + columns / 5)


def distance(divisor, kind):
    pair = [Image.fromarray((v / divisor).astype(kind)) for v in (one, other)]
    return int(imagehash.phash(pair[0]) - imagehash.phash(pair[1]))


wide, narrow = distance(1, np.uint16), distance(256, np.uint8)
print('expected: the distance in 16 bits is that in 8 bits:', narrow, 'of 64')
print('happened in 16 bits:', wide)
assert wide == 0 and narrow >= 20
PY
