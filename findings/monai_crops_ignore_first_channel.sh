#!/usr/bin/env bash
# MONAI's lesion-centred crops are never centred on the first channel of a multi-channel label.
#
# Expected: RandCropByPosNegLabel(pos=1, neg=0) centres every crop on a voxel where the label is not 0, in whichever channel, as
#   its help says: "Non-zero indicates foreground, zero indicates background".
# Happens: where the label has more than one channel the first is treated as the background of a one-hot label and is
#   dropped. Of two kinds of lesions, one a channel, no crop is centred on the first kind, whose voxels count as
#   background. With a single channel, or with a background channel placed first, it is correct. FgBgToIndices does the
#   same. No message.
# Versions: monai 1.6.1, torch 2.13.0, NumPy 2.4.6.
# Why it matters: overlapping labels, such as MONAI's own for BraTS, have one channel each and no background. The first
#   kind of lesion is seen in training only by chance, and is sampled where `neg` asks for healthy tissue.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   centres of 200 crops on lesions of the first and of the second kind, foreground voxels of 72
#   two: 0 200 36
#   merged: 95 105 72
#   background_first: 95 105 72
#   of 200 crops on background, on lesions of the first kind: 56 merged: 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 monai==1.6.1
venv/bin/python -W ignore - <<'PY'
import torch
from monai.transforms import FgBgToIndices, RandCropByPosNegLabel

# Two kinds of lesions of 36 voxels, a channel each.
LABEL = torch.zeros(2, 64, 64)
LABEL[0, 10:16, 10:16] = 1
LABEL[1, 40:46, 40:46] = 1
HEALTHY = 1 - LABEL.amax(0, keepdim=True)


def centres(lesions, label, pos, neg):
    """How many of 200 crops are centred on lesions of the first kind, and of the second."""
    crop = RandCropByPosNegLabel(spatial_size=(7, 7), label=label, pos=pos, neg=neg, num_samples=200)
    crop.set_random_state(0)
    parts = crop(lesions)
    return [sum(int(part[kind, 3, 3]) for part in parts) for kind in (0, 1)]


layouts = dict(
    two=LABEL,
    merged=LABEL.amax(0, keepdim=True),
    background_first=torch.cat([HEALTHY, LABEL]),
)
print('centres of 200 crops on lesions of the first and of the second kind, foreground voxels of 72')
for name, label in layouts.items():
    first, second = centres(LABEL, label, pos=1, neg=0)
    foreground = len(FgBgToIndices()(label)[0])
    print(f'{name}:', first, second, foreground)
    if name == 'two':
        assert (first, second, foreground) == (0, 200, 36)
    else:
        assert first + second == 200 and min(first, second) > 70 and foreground == 72
# With pos=0 and neg=1 lesions of the first kind are drawn as background.
large = torch.zeros(2, 40, 40)
large[0, 10:30, 10:30] = 1
drawn = centres(large, large, pos=0, neg=1)[0]
merged = centres(large, large.amax(0, keepdim=True), pos=0, neg=1)[0]
print('of 200 crops on background, on lesions of the first kind:', drawn, 'merged:', merged)
assert drawn > 20 and merged == 0
PY
