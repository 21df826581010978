#!/usr/bin/env bash
# With 'weighted-imagewise', segmentation-models-pytorch returns an IoU of 0.333 for a perfect map of three classes.
#
# Expected: iou_score(..., reduction='weighted-imagewise', class_weights=[...]) is a weighted mean over
#   classes in each image, and then the mean over images: 1 for a perfect map, and for one image the same as by 'weighted'.
# Happens: the weights are scaled to a sum of 1, and then the mean over classes is taken, not the sum: every score is
#   divided by the number of classes. F1, sensitivity and accuracy likewise. 'weighted', which sums over images
#   first, is right. No message.
# Known: for 'weighted' it was fixed in 2022, by the package's pull request 659.
# Versions: segmentation-models-pytorch 0.6.0, torch 2.13.0, torchvision 0.28.0, NumPy 2.4.6.
# Why it matters: a lesion is given more weight than background, and a score of 0.92 for each image reads 0.46. Tasks
#   with other numbers of classes cannot be compared.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   macro macro-imagewise weighted weighted-imagewise and the last by hand
#   perfect, iou_score: 1.0 1.0 1.0 0.333 1.0
#   perfect, f1_score: 1.0 1.0 1.0 0.333 1.0
#   perfect, sensitivity: 1.0 1.0 1.0 0.333 1.0
#   perfect, accuracy: 1.0 1.0 1.0 0.333 1.0
#   one image with an error: 0.806 0.806 0.819 0.273 0.819
#   two classes: 0.938 0.938 0.921 0.461 0.921
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 torchvision==0.28.0 segmentation-models-pytorch==0.6.0
venv/bin/python -W ignore - <<'PY'
import sys

import torch

# torchvision from PyPI next to a torch of another build fails at import for want of two
# declared operators; declaring them is all that it needs here.
library = torch.library.Library('torchvision', 'FRAGMENT')
try:
    import torchvision  # noqa: F401
except Exception:
    sys.modules.pop('torchvision', None)
    for name in ('nms', 'qnms'):
        library.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
from segmentation_models_pytorch.metrics import accuracy, f1_score, get_stats, iou_score, recall

REDUCTIONS = 'macro', 'macro-imagewise', 'weighted', 'weighted-imagewise'


def scores(name, found, truth, weights, metric=iou_score):
    """One score by each reduction, and the weighted one of each image by hand."""
    counts = get_stats(found, truth, mode='multiclass', num_classes=len(weights))
    values = []
    for reduction in REDUCTIONS:
        given = dict(class_weights=weights) if 'weighted' in reduction else {}
        values.append(round(float(metric(*counts, reduction=reduction, **given)), 3))
    each = metric(*counts, reduction='none')
    share = torch.tensor(weights) / sum(weights)
    values.append(round(float((each * share).sum(1).mean()), 3))
    print(f'{name}:', *values)
    return values


truth = torch.arange(144).reshape(1, 12, 12) % 3
wrong = truth.clone()
wrong[0, :2] = 0
two = (truth > 1).long()
two_wrong = two.clone()
two_wrong[0, :1] = 0
print(*REDUCTIONS, 'and the last by hand')
for metric in (iou_score, f1_score, recall, accuracy):
    assert scores(f'perfect, {metric.__name__}', truth, truth, [1.0, 2.0, 3.0], metric) == [1, 1, 1, 0.333, 1]
*_, plain, imagewise, right = scores('one image with an error', wrong, truth, [1.0, 2.0, 3.0])
assert plain == right < 1 and abs(imagewise - right / 3) < 1e-3
*_, plain, imagewise, right = scores('two classes', two_wrong, two, [1.0, 9.0])
assert plain == right < 1 and abs(imagewise - right / 2) < 1e-3
PY
