#!/usr/bin/env bash
# In Ignite a class that occurs neither in the ground truth nor in the prediction has an IoU of 0 and lowers the mean.
#
# Expected: such a class is left out of the mean or is NaN, as in MMSegmentation.
# Happens: 0 / 1e-15 is 0. A perfect prediction of three of four classes has mIoU 0.75, and the Dice coefficient of the
#   fourth is 0 as well. The help of mIoU, IoU and DiceCoefficient does not mention it.
# Versions: pytorch-ignite 0.5.5, torch 2.13.0.
# Why it matters: a hospital without adenomas, or a fold without the rare class, gets a lower score from the same model.
#   Differences between sites then reflect which classes they have.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   four classes of four: ('mIoU', [1.0]) ('IoU', [1.0, 1.0, 1.0, 1.0]) ('Dice', [1.0, 1.0, 1.0, 1.0])
#   expected of three classes: mIoU 1, or NaN for the fourth
#   three classes of four: ('mIoU', [0.75]) ('IoU', [1.0, 1.0, 1.0, 0.0]) ('Dice', [1.0, 1.0, 1.0, 0.0])
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 pytorch-ignite==0.5.5
venv/bin/python -W ignore - <<'PY'
import torch
from ignite.metrics import ConfusionMatrix, DiceCoefficient, IoU, mIoU

NAMES = ('mIoU', 'IoU', 'Dice')


def scores(truth):
    """Of a perfect prediction, for four classes."""
    matrix = ConfusionMatrix(num_classes=4)
    metrics = mIoU(matrix), IoU(matrix), DiceCoefficient(matrix)
    matrix.reset()
    matrix.update((torch.nn.functional.one_hot(truth, 4).permute(0, 3, 1, 2).float(), truth))
    return [[round(value, 2) for value in metric.compute().reshape(-1).tolist()] for metric in metrics]


all_there = torch.zeros(1, 16, 16, dtype=torch.long)
all_there[:, 2:6, 2:6], all_there[:, 8:12, 2:6], all_there[:, 8:12, 8:12] = 1, 2, 3
one_less = torch.where(all_there == 3, 0, all_there)
print('four classes of four:', *zip(NAMES, scores(all_there)))
print('expected of three classes: mIoU 1, or NaN for the fourth')
print('three classes of four:', *zip(NAMES, scores(one_less)))
assert scores(all_there) == [[1], [1, 1, 1, 1], [1, 1, 1, 1]]
assert scores(one_less) == [[0.75], [1, 1, 1, 0], [1, 1, 1, 0]]
PY
