#!/usr/bin/env bash
# A boolean mask saved by tifffile is read inverted by Pillow and OpenCV.
#
# Expected: every reader gives back the 9 lesion pixels of a boolean array.
# Happens: tifffile stores a boolean array as MinIsWhite and reads it back as it was.
#   Pillow and OpenCV follow the tag and swap the values: 247 of 256 pixels are lesion.
#   With photometric='minisblack' all three agree.
# Versions: tifffile 2026.3.3, Pillow 13.0.0, OpenCV 5.0.0 (headless), NumPy 2.4.6.
# Why it matters: lesion and background trade places in a mask that one tool wrote and
#   another reads, and nothing warns. A check of the values (0 and 255) passes.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: 9 lesion pixels from every reader
#   default:  {'tifffile': 9, 'Pillow': 247, 'OpenCV': 247}
#   minisblack: {'tifffile': 9, 'Pillow': 9, 'OpenCV': 9}
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 tifffile==2026.3.3 pillow==13.0.0 opencv-python-headless==5.0.0.93
venv/bin/python -W ignore - <<'PY'
import cv2
import numpy as np
import tifffile
from PIL import Image

mask = np.zeros((16, 16), bool)
mask[2:5, 2:5] = True


def lesion_pixels(path):
    return {
        'tifffile': int(tifffile.imread(path).sum()),
        'Pillow': int(np.array(Image.open(path)).sum()),
        'OpenCV': int((cv2.imread(path, cv2.IMREAD_UNCHANGED) > 0).sum()),
    }


tifffile.imwrite('default.tif', mask)
tifffile.imwrite('minisblack.tif', mask, photometric='minisblack')
default, told = lesion_pixels('default.tif'), lesion_pixels('minisblack.tif')
print('expected: 9 lesion pixels from every reader')
print('default: ', default)
print('minisblack:', told)
assert default == {'tifffile': 9, 'Pillow': 247, 'OpenCV': 247}
assert set(told.values()) == {9}
PY
