#!/usr/bin/env bash
# TorchIO pads label maps with the value that is meant for the image.
#
# Expected: CropOrPad and Pad with padding_mode=-1000, the air of a CT image, pad the label map with
#   background, as RandomAffine does whatever its default_pad_value is.
# Happens: the label map is padded with -1000 as well. In a label map of uint8, the usual kind, that is 24 after
#   wrapping: a class nobody drew. The help mentions "an image", but not label maps.
# Versions: torchio 1.2.1, torch 2.13.0, NumPy 2.4.6.
# Why it matters: 24 is a valid class of whole-body label maps; where any label is lesion the rim is one large lesion.
#   With padding_mode=0 labels are correct, and the image has a rim of water.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   values of the image and of the labels; expected: labels 0 1
#   RandomAffine: from -1000 - labels 0 1
#   Pad: -1000 0 - labels 0 1 24
#   CropOrPad: -1000 0 - labels 0 1 24
#   signed: -1000 0 - labels -1000 0 1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 torchio==1.2.1
venv/bin/python -W ignore - <<'PY'
import torch
import torchio as tio

LABELS = torch.zeros(1, 10, 10, 1, dtype=torch.uint8)
LABELS[0, 2:5, 2:5] = 1


def values(transform, dtype=torch.uint8):
    """Distinct values of the image, and of its label map."""
    subject = tio.Subject(
        image=tio.ScalarImage(tensor=torch.zeros(1, 10, 10, 1)),
        labels=tio.LabelMap(tensor=LABELS.to(dtype)),
    )
    result = transform(subject)
    return [sorted(set(result[name].data.int().flatten().tolist())) for name in ('image', 'labels')]


torch.manual_seed(0)
turned = values(tio.RandomAffine(degrees=(0, 0, 0, 0, 40, 40), default_pad_value=-1000))
padded = values(tio.Pad((1, 1, 0), padding_mode=-1000))
cropped = values(tio.CropOrPad((12, 12, 1), padding_mode=-1000))
signed = values(tio.CropOrPad((12, 12, 1), padding_mode=-1000), torch.int16)
print('values of the image and of the labels; expected: labels 0 1')
print('RandomAffine: from', turned[0][0], '- labels', *turned[1])
for name, (image, labels) in dict(Pad=padded, CropOrPad=cropped, signed=signed).items():
    print(f'{name}:', *image, '- labels', *labels)
assert turned[0][0] == -1000 and turned[1] == [0, 1]
assert padded == cropped == [[-1000, 0], [0, 1, 24]]
assert signed == [[-1000, 0], [-1000, 0, 1]]
PY
