#!/usr/bin/env bash
# With torch.cdist, two outlines that lie 3 pixels apart on a slide have a Hausdorff distance of 0.
#
# Expected: whole numbers below 2**24 are exact in float32, and a distance of 3 is 3.
# Happens: above 25 points cdist computes |a|^2 + |b|^2 - 2ab, in which the squares of the coordinates cancel. At pixel
#   20,000 opposite points are 0 to 8 apart; in a field of view of 180 mm a set of points is 0.09 mm from itself. With
#   25 points or fewer, and so in most unit tests, it is exact, as with compute_mode='donot_use_mm_for_euclid_dist'.
# Known: pytorch's issues 42479 (closed) and 57690 (open). The help names the two modes and the 25, not the loss of
#   precision.
# Versions: torch 2.13.0.
# Why it matters: Hausdorff and surface distances on a GPU are often written with cdist. The error
#   depends on where in the image a lesion lies and how large it is. Subtract the mean first, or
#   name the mode.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: opposite points 3 apart, Hausdorff 3; the field to itself 0
#   200 points, nearest and farthest opposite, Hausdorff: [0.0, 8.0, 0.0]
#   25 points: [3.0, 3.0, 3.0]
#   200 points, exact mode: [3.0, 3.0, 3.0]
#   180 mm field to itself, in mm: 0.088
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0
venv/bin/python -W ignore - <<'PY'
import torch


def outline(column, points):
    rows = torch.arange(20_000.0, 20_000 + points)
    return torch.stack([rows, torch.full_like(rows, column)], dim=1)


def between(points, **options):
    one, other = outline(20_000, points), outline(20_003, points)
    distances = torch.cdist(one, other, **options)
    matched = distances.diagonal()
    return [round(float(value), 2) for value in (matched.min(), matched.max(), distances.amin(1).amax())]


exact = dict(compute_mode='donot_use_mm_for_euclid_dist')
field = torch.stack(torch.meshgrid(torch.arange(480, 512), torch.arange(480, 512), indexing='ij'), -1)
field = field.reshape(-1, 2) * 0.35
itself = round(float(torch.cdist(field, field).amin(1).amax()), 3)
print('expected: opposite points 3 apart, Hausdorff 3; the field to itself 0')
print('200 points, nearest and farthest opposite, Hausdorff:', between(200))
print('25 points:', between(25))
print('200 points, exact mode:', between(200, **exact))
print('180 mm field to itself, in mm:', itself)
assert between(25) == between(200, **exact) == [3, 3, 3]
nearest, farthest, hausdorff = between(200)
assert nearest < 1.5 and farthest > 6 and hausdorff < 1.5
assert itself > 0.02
PY
