#!/usr/bin/env bash
# torchmetrics returns a Matthews coefficient above 0 for an empty prediction, and for a false alarm in a healthy image.
#
# Expected: where nothing is predicted, or where there is no lesion, a row of the confusion matrix is empty and the
#   coefficient undefined: 0, as in scikit-learn, or NaN.
# Happens: it is nearly 1 / sqrt(n) for n wrong pixels: a missed lesion of one pixel, and a false alarm of one in a
#   healthy image, have 1.0, the score of a perfect map; of 4 pixels 0.5. A model that predicts nothing where the
#   lesion has 41 pixels has 0.154, one that finds a pixel of it 0.155. Where both rows hold something it agrees
#   with scikit-learn (known, torchmetrics' issue 3355). No message.
# Versions: torchmetrics 1.9.0, torch 2.13.0, scikit-learn 1.9.1, NumPy 2.4.6.
# Why it matters: the coefficient is used for lesions because they are small. Averaged over images, specks in healthy
#   images and small missed lesions raise the mean, and cleaning of specks seems to do nothing.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   41 of 41 pixels found: torchmetrics 1.0, scikit-learn 1.0
#   20 of 41 pixels found: torchmetrics 0.697, scikit-learn 0.697
#   1 of 41 pixels found: torchmetrics 0.155, scikit-learn 0.155
#   missed, 1 pixels: torchmetrics 1.0, scikit-learn 0.0
#   false alarm, 1 pixels: torchmetrics 1.0, scikit-learn 0.0
#   missed, 4 pixels: torchmetrics 0.499, scikit-learn 0.0
#   false alarm, 4 pixels: torchmetrics 0.499, scikit-learn 0.0
#   missed, 41 pixels: torchmetrics 0.154, scikit-learn 0.0
#   false alarm, 41 pixels: torchmetrics 0.154, scikit-learn 0.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scikit-learn==1.9.1 torch==2.13.0 torchmetrics==1.9.0
venv/bin/python -W ignore - <<'PY'
import torch
from sklearn.metrics import matthews_corrcoef
from torchmetrics.classification import BinaryMatthewsCorrCoef

def pixels(number):
    mask = torch.zeros(64, 64, dtype=torch.long)
    mask.view(-1)[100 : 100 + number] = 1
    return mask


def score(name, predicted, truth):
    found = round(float(BinaryMatthewsCorrCoef()(predicted, truth)), 3)
    exact = round(float(matthews_corrcoef(truth.flatten(), predicted.flatten())), 3)
    print(f'{name}: torchmetrics {found}, scikit-learn {exact}')
    return found, exact


for part in (41, 20, 1):
    found, exact = score(f'{part} of 41 pixels found', pixels(part), pixels(41))
    assert found == exact > 0.1
for number, expected in ((1, 1.0), (4, 0.5), (41, 0.15)):
    for name, predicted, truth in (('missed', pixels(0), pixels(number)), ('false alarm', pixels(number), pixels(0))):
        found, exact = score(f'{name}, {number} pixels', predicted, truth)
        assert exact == 0 and abs(found - expected) < 0.01
PY
