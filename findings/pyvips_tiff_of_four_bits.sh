#!/usr/bin/env bash
# libvips writes a label map as an empty TIFF of 4 bits, and keeps it in a PNG of 4 bits.
#
# Expected: 4 bits hold the classes 0 to 15, in a TIFF as in a PNG.
# Happens: pngsave(bitdepth=4) writes the lower four bits of each pixel, tiffsave(bitdepth=4) the upper four: classes up
#   to 15 are all 0, and 16 to 31 are one. There is no message, and libvips itself reads the file as empty. Of 2 bits it
#   is the same with the upper two, and what does not fit in 2 bits of a PNG comes back as another class (5 as 1). The
#   help gives the threshold for 1 bit, half of white, but says nothing about 2 and 4 bits.
# Versions: libvips 8.18.7 (pyvips 3.2.0, pyvips-binary 8.18.7), Pillow 13.0.0, NumPy 2.4.6.
# Why it matters: label maps of large images are TIFF, and few bits make them small. All lesions are gone, in a file
#   of the right size that every reader opens.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   classes written: 0 1 2 5 9
#   PNG of 4 bits, read by Pillow, which spreads 15 to 255: 0 17 34 85 153 - divided by 17: 0 1 2 5 9
#   TIFF of 8 bits: 0 1 2 5 9
#   TIFF of 4 bits, read by Pillow: 0 - read by libvips: 0
#   TIFF of 4 bits of classes times 16: 0 17 34 85 153
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 pyvips==3.2.0 pyvips-binary==8.18.7
venv/bin/python - <<'PY'
import numpy as np
import pyvips
from PIL import Image

CLASSES = [0, 1, 2, 5, 9]
labels = np.repeat(np.repeat(np.array([CLASSES], np.uint8), 20, 0), 4, 1)
image = pyvips.Image.new_from_array(labels)


def by_pillow(path):
    return np.unique(np.array(Image.open(path))).tolist()


def by_vips(path):
    return np.unique(pyvips.Image.new_from_file(path).numpy()).tolist()


print('classes written:', *CLASSES)
image.pngsave('four.png', bitdepth=4)
seen = by_pillow('four.png')
print('PNG of 4 bits, read by Pillow, which spreads 15 to 255:', *seen, '- divided by 17:', *(v // 17 for v in seen))
assert [value / 17 for value in seen] == CLASSES
image.tiffsave('eight.tif')
print('TIFF of 8 bits:', *by_vips('eight.tif'))
assert by_pillow('eight.tif') == by_vips('eight.tif') == CLASSES
image.tiffsave('four.tif', bitdepth=4)
print('TIFF of 4 bits, read by Pillow:', *by_pillow('four.tif'), '- read by libvips:', *by_vips('four.tif'))
assert by_pillow('four.tif') == by_vips('four.tif') == [0]
(image * 16).cast('uchar').tiffsave('upper.tif', bitdepth=4)
print('TIFF of 4 bits of classes times 16:', *by_vips('upper.tif'))
assert [value / 17 for value in by_vips('upper.tif')] == CLASSES
image.pngsave('two.png', bitdepth=2)
assert by_pillow('two.png') == [0, 85, 170]
PY
