#!/usr/bin/env bash
# kornia's distance transform is 28 % short along diagonals.
#
# Expected: an approximation of Euclidean distance, as its help says, off by a pixel or so.
# Happens: 20 pixels to the side are 19.83, and 20 along the diagonal 20.41 and not 28.28: it is the
#   chessboard distance, nearly, and the error grows with the distance. Other values of h, or a
#   larger kernel, are hardly better.
# Versions: kornia 0.9.0, torch 2.13.0, SciPy 1.17.1.
# Why it matters: Hausdorff and boundary losses that are built on it weigh an error by the direction
#   in which it lies, and a distance read from it in pixels is too short by as much.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected, SciPy: [20.0, 28.28, 42.43]
#   kornia: [19.83, 20.41, 30.41]
#   kornia, h=0.1: [20.0, 20.41, 30.41]
#   kornia, h=0.2: [19.96, 20.41, 30.41]
#   kornia, h=0.5: [19.69, 20.41, 30.41]
#   kornia, kernel of 15: [19.52, 22.4, 30.75]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 scipy==1.17.1 kornia==0.9.0
venv/bin/python -W ignore - <<'PY'
import torch
from kornia.contrib import distance_transform
from scipy.ndimage import distance_transform_edt

mask = torch.zeros(1, 1, 65, 65)
mask[..., 32, 32] = 1
exact = distance_transform_edt(1 - mask[0, 0].numpy())


def along(distances):
    return [round(float(distances[32 + down, 32 + right]), 2) for down, right in ((0, 20), (20, 20), (30, 30))]


kornia = along(distance_transform(mask)[0, 0])
print('expected, SciPy:', along(exact))
print('kornia:', kornia)
for h in (0.1, 0.2, 0.5):
    print(f'kornia, h={h}:', along(distance_transform(mask, h=h)[0, 0]))
print('kornia, kernel of 15:', along(distance_transform(mask, kernel_size=15)[0, 0]))
assert abs(kornia[0] - 20) < 0.3
assert abs(kornia[1] - 20.41) < 0.1 and along(exact)[1] == 28.28
PY
