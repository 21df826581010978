#!/usr/bin/env bash
# MONAI's FillHoles removes a lesion that lies within its organ.
#
# Expected: its help defines a hole as background within one class. Pixels of another class are not background, and
#   stay.
# Happens: whatever is enclosed by one class takes that class, other classes too. Of an organ with label 1
#   and a tumour with label 2 in it no tumour is left, also where holes of label 1 alone are asked for.
#   With one channel for each class the tumour stays in its channel, but the organ is filled over it.
#   A tumour that touches the edge of the organ stays: the same class is kept in one patient and
#   lost in the next.
# Versions: MONAI 1.6.1, torch 2.13.0, NumPy 2.4.6, SciPy 1.17.1, scikit-image 0.26.0.
# Why it matters: it is meant for cleaning predictions, and the lesion within the organ is the target. Fill holes of
#   each binary mask before the classes are combined.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   pixels of organ, tumour
#   expected: [91, 9]
#   happened, default: [100, 0]
#   happened, applied_labels=1: [100, 0]
#   tumour at the edge of the organ: [91, 9]
#   a hole of background: [100, 0]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-image==0.26.0 torch==2.13.0 monai==1.6.1
venv/bin/python -W ignore - <<'PY'
import torch
from monai.transforms import FillHoles


def labels(top, inner):
    """An organ of 10 x 10 pixels, and 3 x 3 pixels of another value in it."""
    image = torch.zeros(1, 16, 16)
    image[0, 3:13, 3:13] = 1
    image[0, top : top + 3, 6:9] = inner
    return image


def counted(image):
    return [int((image == value).sum()) for value in (1, 2)]


print('pixels of organ, tumour')
expected = counted(labels(6, 2))
print('expected:', expected)
happened = counted(FillHoles()(labels(6, 2)))
asked = counted(FillHoles(applied_labels=1)(labels(6, 2)))
print('happened, default:', happened)
print('happened, applied_labels=1:', asked)
at_edge = counted(FillHoles()(labels(3, 2)))
print('tumour at the edge of the organ:', at_edge)
hole = counted(FillHoles()(labels(6, 0)))
print('a hole of background:', hole)
assert expected == at_edge == [91, 9]
assert happened == asked == hole == [100, 0]
PY
