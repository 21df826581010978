#!/usr/bin/env bash
# GaNDLF's Jaccard per label adds up the previous labels: for a perfect prediction the third one scores 3.
#
# Expected: jaccard_per_label gives the index of each class, within 0 and 1, as dice_per_label does.
# Happens: the running sum is stored instead of the index of the class. A perfect prediction of three classes scores 1,
#   2 and 3; one that misses the last class altogether scores 1.9 for it, more than the class that is found without an
#   error. The first class is right, and so is jaccard, the mean. No message.
# Versions: gandlf 0.1.5, torch 2.13.0, torchio 0.19.6, torchmetrics 1.1.2, NumPy 1.26.4.
# Why it matters: the class that comes last looks best. Nobody reads the index of the background, but it is added to
#   that of the first lesion class: 1.2 may be noticed as an error, 0.9 is believed.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   perfect: expected [1.0, 1.0, 1.0], happened [1.0, 2.0, 3.0]; Dice [1.0, 1.0, 1.0], mean Jaccard 1.0
#   the last class is missed: expected [0.91, 1.0, 0.0], happened [0.91, 1.91, 1.91]; Dice [0.95, 1.0, 0.0], mean Jaccard 0.64
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==1.26.4 scipy==1.14.1 pandas==2.3.3 scikit-image==0.24.0 scikit-learn==1.5.2 SimpleITK==2.5.7 \
  opencv-python-headless==4.11.0.86 torch==2.13.0 torchio==0.19.6 torchmetrics==1.1.2 torchinfo==1.7.0 \
  panoptica==1.4.1 pyyaml tqdm colorlog deprecated
venv/bin/pip install --quiet --disable-pip-version-check --no-deps gandlf==0.1.5
venv/bin/python -W ignore - <<'PY'
import torch
from GANDLF.utils import one_hot  # isort: skip  (before the others, which import each other)
from GANDLF.metrics import global_metrics_dict as measures

CLASSES = [0, 1, 2]
params = dict(model=dict(num_classes=3, class_list=CLASSES, ignore_label_validation=None))
labels = torch.zeros(1, 1, 12, 12, 1, dtype=torch.long)
labels[0, 0, 2:6, 2:6] = 1
labels[0, 0, 7:9, 3:9] = 2


def scores(prediction):
    """Of each class: the index as counted here, GaNDLF's, and its Dice; and the mean index."""
    hot, truth = one_hot(prediction, CLASSES), one_hot(labels, CLASSES)
    pixels = (0, 2, 3, 4)
    counted = (hot * truth).sum(pixels) / ((hot + truth) > 0).sum(pixels)
    found, dice = (measures[name](hot.clone(), truth, params) for name in ('jaccard_per_label', 'dice_per_label'))
    mean = float(measures['jaccard'](hot.clone(), truth, params))
    return *([round(float(v), 2) for v in values] for values in (counted, found, dice)), round(mean, 2)


missed = labels.clone()
missed[labels == 2] = 0
results = {'perfect': scores(labels), 'the last class is missed': scores(missed)}
for name, (counted, found, dice, mean) in results.items():
    print(f'{name}: expected {counted}, happened {found}; Dice {dice}, mean Jaccard {mean}')
    sums = [sum(counted[: place + 1]) for place in range(3)]
    assert all(abs(one - other) < 0.02 for one, other in zip(found, sums))
    assert abs(mean - sum(counted) / 3) < 0.01
assert results['perfect'][1] == [1, 2, 3]
assert results['the last class is missed'][0][2] == 0 and results['the last class is missed'][1][2] > 1.8
PY
