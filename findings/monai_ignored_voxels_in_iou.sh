#!/usr/bin/env bash
# With ignore_index, MONAI leaves voxels out of the Dice score but still counts them in the IoU.
#
# Expected: ignore_index=2 means the same for DiceMetric, MeanIoU and ConfusionMatrixMetric, as the help of all three
#   says in the same words: such voxels, for example padding, are left out of the score. Dice and IoU of one pair of
#   masks then belong together: IoU = Dice / (2 - Dice).
# Happens: DiceMetric leaves the voxels out. MeanIoU and ConfusionMatrixMetric leave out only the class, and a
#   prediction on such voxels counts as a false positive of another class: Dice 1, IoU 0.5, F1 0.667 for a map without
#   an error. With a number that is not a class (255, all channels 0) all three leave the voxels out. No message.
# Known: MONAI's pull request 8757, which brought ignore_index in, says of MeanIoU that it excludes classes.
# Versions: monai 1.6.1, torch 2.13.0, NumPy 2.4.6.
# Why it matters: what lies outside the field of view, or was not annotated, is given such a class. A network is
#   penalised for its predictions there in one score, and not in the other.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   lesion: Dice, IoU, F1; IoU by hand
#   nothing ignored: 0.667 0.5 0.667 0.5
#   ignore_index=2: 1.0 0.5 0.667 1.0
#   ignore_index=255, no channel: 1.0 1.0 1.0 1.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 monai==1.6.1
venv/bin/python -W ignore - <<'PY'
import torch
from monai.metrics import ConfusionMatrixMetric, DiceMetric, MeanIoU
from torch.nn.functional import one_hot

# A lesion of 8 x 8 pixels, right of it as much that nobody annotated (2).
truth = torch.zeros(1, 20, 20, dtype=torch.long)
truth[0, 6:14, 2:10] = 1
truth[0, 6:14, 10:18] = 2
# The network finds the lesion as it is, and goes on to call what is unknown lesion as well.
found = (truth > 0).long()


def channels(labels, classes=3):
    """One channel for each class below `classes`; other pixels are 0 in all."""
    return one_hot(labels, 3).movedim(-1, 1)[:, :classes].float()


def scores(name, ignored, classes):
    """Dice, IoU and F1 of the lesion, and its IoU by the pixels that are not ignored."""
    values = []
    for metric in (
        DiceMetric(include_background=False, ignore_index=ignored, reduction='none'),
        MeanIoU(include_background=False, ignore_index=ignored, reduction='none'),
        ConfusionMatrixMetric(include_background=False, ignore_index=ignored, metric_name='f1 score', reduction='none'),
    ):
        metric(channels(found, classes), channels(truth, classes))
        result = metric.aggregate()
        values.append(round(float((result[0] if isinstance(result, list) else result)[0, 0]), 3))
    known = (truth != 2) if ignored is not None else torch.ones_like(truth, dtype=torch.bool)
    both, either = ((found == 1) & (truth == 1))[known], ((found == 1) | (truth == 1))[known]
    values.append(round(float(both.sum() / either.sum()), 3))
    print(f'{name}:', *values)
    return values


print('lesion: Dice, IoU, F1; IoU by hand')
assert scores('nothing ignored', None, 3) == [0.667, 0.5, 0.667, 0.5]
assert scores('ignore_index=2', 2, 3) == [1, 0.5, 0.667, 1]
assert scores('ignore_index=255, no channel', 255, 2) == [1, 1, 1, 1]
PY
