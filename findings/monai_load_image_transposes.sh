#!/usr/bin/env bash
# MONAI reads a PNG as width by height.
#
# Expected: LoadImage gives (height, width, channels), as Pillow, OpenCV and PyTorch do.
# Happens: its Pillow reader swaps the first two axes, so that axis 0 is x, as in NIfTI. A
#   20 x 10 image has the shape (20, 10, 3), and with ensure_channel_first (3, 20, 10).
#   PILReader(reverse_indexing=False) keeps rows first.
# Versions: MONAI 1.6.1, Pillow 13.0.0, torch 2.13.0.
# Why it matters: images from MONAI and masks from elsewhere have matching shapes when they are square, and are then
#   mirrored along the diagonal against each other. A CLIP encoder sees the picture lying on its side.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: shape (10, 20, 3) and the white pixel at row 0, column 5
#   happened: shape (20, 10, 3) pixel at [[5, 0]]
#   channel first: (3, 20, 10)  reverse_indexing=False: (10, 20, 3)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 monai==1.6.1 pillow==13.0.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
from monai.data import PILReader
from monai.transforms import LoadImage
from PIL import Image

pixels = np.zeros((10, 20, 3), np.uint8)
pixels[0, 5] = 255  # row 0, column 5
Image.fromarray(pixels).save('image.png')
image = LoadImage(image_only=True)('image.png')
first = LoadImage(image_only=True, ensure_channel_first=True)('image.png')
rows_first = LoadImage(PILReader(reverse_indexing=False), image_only=True)('image.png')
print('expected: shape', pixels.shape, 'and the white pixel at row 0, column 5')
print('happened: shape', tuple(image.shape), 'pixel at', np.argwhere(image[..., 0].numpy()).tolist())
print('channel first:', tuple(first.shape), ' reverse_indexing=False:', tuple(rows_first.shape))
assert tuple(image.shape) == (20, 10, 3) and tuple(first.shape) == (3, 20, 10)
assert np.argwhere(image[..., 0].numpy()).tolist() == [[5, 0]]
assert tuple(rows_first.shape) == pixels.shape
PY
