#!/usr/bin/env bash
# Pillow multiplies the values of a 12-bit JPEG 2000 image by 16.
#
# Expected: the format is lossless and states its 12 bits; 7 is read as 7.
# Happens: values are shifted to the top of the 8 or 16 bits that Pillow has: 7 of 12 bits is 112, and
#   saved as PNG it stays so. A label map of 4 bits, 0 1 2 3, is read as 0 16 32 48, one of 1 bit as 0 and
#   128. OpenCV and imagecodecs give what was stored.
# Versions: Pillow 13.0.0, imagecodecs 2026.3.6, OpenCV 5.0.0, NumPy 2.4.6. Pillow's page on the format
#   does not say it; pydicom shifts the values back.
# Why it matters: 12 bits are what scanners and fluorescence cameras store. A threshold, an intensity of a lesion, or
#   the input of a network trained with one reader differs by a factor of 16 with the other.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   stored:              [0, 7, 14, 4095]
#   expected, OpenCV:    [0, 7, 14, 4095]
#   imagecodecs:         [0, 7, 14, 4095]
#   Pillow (I;16):       [0, 112, 224, 65520]
#   Pillow, 16 bits:     [0, 7, 14, 4095]
#   Pillow, labels 0 1 2 3 of 4 bits: [0, 16, 32, 48]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 pillow==13.0.0 imagecodecs==2026.3.6 opencv-python-headless==5.0.0.93
venv/bin/python -W ignore - <<'PY'
import cv2
import imagecodecs
import numpy as np
from PIL import Image


def stored(row, bits):
    values = np.tile(np.array(row, np.uint16 if bits > 8 else np.uint8), (8, 8))
    code = imagecodecs.jpeg2k_encode(values, bitspersample=bits, reversible=True, codecformat='jp2')
    with open('image.jp2', 'wb') as file:
        file.write(code)
    assert np.array_equal(imagecodecs.jpeg2k_decode(code), values)


def by_pillow():
    with Image.open('image.jp2') as image:
        return image.mode, np.asarray(image)[0, :4].tolist()


row = [0, 7, 14, 4095]
stored(row, 12)
opencv = cv2.imread('image.jp2', cv2.IMREAD_UNCHANGED)[0, :4].tolist()
mode, pillow = by_pillow()
print('stored:             ', row)
print('expected, OpenCV:   ', opencv)
print('imagecodecs:        ', row)
print(f'Pillow ({mode}):      ', pillow)
stored(row, 16)
print('Pillow, 16 bits:    ', by_pillow()[1])
assert opencv == row == by_pillow()[1]
assert pillow == [16 * value for value in row]
stored([0, 1, 2, 3], 4)
labels = by_pillow()[1]
print('Pillow, labels 0 1 2 3 of 4 bits:', labels)
assert labels == [0, 16, 32, 48]
PY
