#!/usr/bin/env bash
# With its label smoothing loss, fastai computes probabilities along the width of the image, not over the classes.
#
# Expected: LabelSmoothingCrossEntropyFlat(axis=1), with the class axis given as for CrossEntropyLossFlat, trains and
#   predicts along that axis.
# Happens: it trains along that axis, but its activation and decodes, which get_preds and predict use, work on the last
#   axis. The probabilities of a pixel do not add up to 1, those of a row of pixels do, and no pixel of a confidently
#   found lesion of 8 x 8 is above 0.5. CrossEntropyLossFlat and FocalLossFlat are right. No message (known, fastai's
#   issue 3603).
# Versions: fastai 2.8.12, torch 2.13.0, NumPy 2.4.6.
# Why it matters: maps, scores and calibration are computed from get_preds. The training looks normal, because the loss
#   and the metrics of the logits are correct.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   sum of the probabilities of a pixel, of a row; shape of the decoded map; pixels above 0.5
#   CrossEntropyLossFlat: 1.0 8.759 (1, 16, 32) 64
#   FocalLossFlat: 1.0 8.759 (1, 16, 32) 64
#   LabelSmoothingCrossEntropyFlat: 0.155 1.0 (1, 2, 16) 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
# Without torchvision, and what else fastai needs beside its losses.
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 pandas==3.1.1 matplotlib==3.11.2 pillow==13.0.0 pyyaml==6.0.3 requests cloudpickle==3.1.2 \
  plum-dispatch torch==2.13.0
venv/bin/pip install --quiet --disable-pip-version-check --no-deps \
  fastai==2.8.12 fastcore==2.2.41 fasttransform==0.0.5 fastprogress==1.0.3
venv/bin/python -W ignore - 2>/dev/null <<'PY'
import torch
from fastai.losses import CrossEntropyLossFlat, FocalLossFlat, LabelSmoothingCrossEntropyFlat

# Logits of lesion and background: a lesion of 8 x 8 pixels, surely found, in an image of 16 x 32.
logits = torch.zeros(1, 2, 16, 32)
logits[:, 1] = -3
logits[:, 1, 4:12, 8:16] = 3

print('sum of the probabilities of a pixel, of a row; shape of the decoded map; pixels above 0.5')
for loss in (CrossEntropyLossFlat(axis=1), FocalLossFlat(axis=1), LabelSmoothingCrossEntropyFlat(axis=1)):
    name = type(loss).__name__
    probabilities = loss.activation(logits)
    of_pixel, of_row = float(probabilities[0, :, 8, 12].sum()), float(probabilities[0, 1, 8].sum())
    lesion = int((probabilities[:, 1] > 0.5).sum())
    shape = tuple(loss.decodes(logits).shape)
    print(f'{name}:', round(of_pixel, 3), round(of_row, 3), shape, lesion)
    if name.startswith('Label'):
        assert abs(of_pixel - 1) > 0.1 and abs(of_row - 1) < 1e-5 and shape == (1, 2, 16) and lesion == 0
    else:
        assert abs(of_pixel - 1) < 1e-5 and shape == (1, 16, 32) and lesion == 64
PY
