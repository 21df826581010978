#!/usr/bin/env bash
# MONAI's lazy resampling ignores the interpolation mode of a transform, and label maps are interpolated.
#
# Expected: Compose(..., lazy=True) gives the same result as lazy=False, except for the rounding of one resampling
#   instead of several. Rotated(mode='nearest') keeps the classes of a label map, lazily or not.
# Happens: the mode is not handed on to the one resampling at the end, which is bilinear. A map of classes 0, 2 and 5
#   has dozens of values, among them 3 and 4. The same happens for a single transform, and for Zoomd, Spacingd and
#   Resized. With overrides={'label': {'mode': 'nearest'}} it is right. No message.
# Versions: monai 1.6.1, torch 2.13.0, NumPy 2.4.6.
# Why it matters: lazy=True is one word that makes a pipeline quicker. The rims of classes become other classes, or
#   fractions, which a cast to integers truncates: lesions shrink. With only 0 and 1, `label > 0` grows them.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   values of the label map, expected 3: lazy=False, lazy=True, with the mode as an override
#   Rotated: 3 34 3
#   RotatedFlipd: 3 34 3
#   Zoomd: 3 7 3
#   Spacingd: 3 12 3
#   Resized: 3 5 3
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 monai==1.6.1
venv/bin/python -W ignore - <<'PY'
import torch
from monai.transforms import Compose, Flipd, Resized, Rotated, Spacingd, Zoomd

LABEL = torch.zeros(1, 32, 32)
LABEL[0, 4:28, 4:28] = 5
LABEL[0, 12:20, 12:20] = 2
NEAREST = {'keys': 'label', 'mode': 'nearest'}
TRANSFORMS = dict(
    Rotated=[Rotated(angle=0.3, **NEAREST)],
    RotatedFlipd=[Rotated(angle=0.3, **NEAREST), Flipd('label', 0)],
    Zoomd=[Zoomd(zoom=0.7, **NEAREST)],
    Spacingd=[Spacingd(pixdim=(1.3, 1.3), **NEAREST)],
    Resized=[Resized(spatial_size=(21, 21), **NEAREST)],
)


def classes(transforms, **how):
    """Values of the label map after the transforms."""
    return set(Compose(transforms, **how)({'label': LABEL.clone()})['label'].unique().tolist())


print('values of the label map, expected 3: lazy=False, lazy=True, with the mode as an override')
for name, transforms in TRANSFORMS.items():
    plain = classes(transforms, lazy=False)
    lazy = classes(transforms, lazy=True)
    override = classes(transforms, lazy=True, overrides={'label': {'mode': 'nearest'}})
    print(f'{name}:', len(plain), len(lazy), len(override))
    assert plain == override == {0, 2, 5}
    assert len(lazy) > 3 and any(value % 1 for value in lazy)
PY
