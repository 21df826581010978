#!/usr/bin/env bash
# SimpleITK reads a probability of 1 from a half-precision TIFF as 15360.
#
# Expected: 1.0, as from a TIFF of 32 bits, or an error, as from Pillow and OpenCV.
# Happens: the bytes of the half-precision numbers are read as 16-bit integers: 0.25 is 13312, 0.5 is 14336, 1.0 is
#   15360. The image is "16-bit unsigned integer". ReadImage(path, sitkFloat32) gives the same numbers as floats. No
#   message: the tag that says "floating point" is honoured only for 32 bits.
# Versions: SimpleITK 2.5.7, tifffile 2026.3.3, Pillow 13.0.0, OpenCV 5.0.0 (headless), NumPy 2.4.6.
# Why it matters: maps of probabilities are kept in half precision for their size. With a threshold of 0.5 every pixel
#   that is not exactly 0 is lesion, and calibration is computed on the wrong numbers. The order of the values is kept,
#   so that pictures and ranks look right.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   stored: 0.0 0.125 0.25 0.5 1.0
#   float32, SimpleITK: 0.0 0.125 0.25 0.5 1.0 - above 0.5: 1
#   float16, tifffile: 0.0 0.125 0.25 0.5 1.0 - above 0.5: 1
#   float16, SimpleITK: 0 12288 13312 14336 15360 - above 0.5: 4
#   float16, SimpleITK as float: 0.0 12288.0 13312.0 14336.0 15360.0 - above 0.5: 4
#   float16, Pillow and OpenCV: refused refused
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 SimpleITK==2.5.7 tifffile==2026.3.3 pillow==13.0.0 opencv-python-headless==5.0.0.93
OPENCV_LOG_LEVEL=SILENT venv/bin/python - <<'PY'
import cv2
import numpy as np
import SimpleITK as sitk
import tifffile
from PIL import Image, UnidentifiedImageError

STORED = [0.0, 0.125, 0.25, 0.5, 1.0]


def show(name, array):
    found = np.asarray(array).ravel().tolist()
    print(f'{name}:', *found, '- above 0.5:', sum(value > 0.5 for value in found))
    return found


for dtype in (np.float32, np.float16):
    # Larger than the five values, as a map is.
    tifffile.imwrite(f'{dtype.__name__}.tif', np.tile(np.array(STORED, dtype), (40, 8)), photometric='minisblack')


def simpleitk(path, *options):
    return sitk.GetArrayFromImage(sitk.ReadImage(path, *options))[0, :5]


print('stored:', *STORED)
assert show('float32, SimpleITK', simpleitk('float32.tif')) == STORED
assert show('float16, tifffile', tifffile.imread('float16.tif')[0, :5]) == STORED
assert show('float16, SimpleITK', simpleitk('float16.tif')) == [0, 12288, 13312, 14336, 15360]
assert show('float16, SimpleITK as float', simpleitk('float16.tif', sitk.sitkFloat32))[-1] == 15360.0
try:
    Image.open('float16.tif')
    pillow = 'read'
except UnidentifiedImageError:
    pillow = 'refused'
opencv = 'refused' if cv2.imread('float16.tif', cv2.IMREAD_UNCHANGED) is None else 'read'
print('float16, Pillow and OpenCV:', pillow, opencv)
assert pillow == opencv == 'refused'
PY
