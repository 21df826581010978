#!/usr/bin/env bash
# In torchmetrics, an image without a lesion is left out of one Dice score and counts as 0 in another.
#
# Expected: DiceScore and GeneralizedDiceScore, both macro averages without the background,
#   agree on one foreground class, or differ by the weighting only.
# Happens: of three images, one half found, one right, one without a lesion and predicted
#   so, DiceScore and MeanIoU leave the third out: Dice (2/3 + 1) / 2 = 0.833.
#   GeneralizedDiceScore counts it as 0: (2/3 + 1 + 0) / 3 = 0.556.
# Versions: torchmetrics 1.9.0, torch 2.13.0.
# Why it matters: the more healthy images a test set holds, and the better they are
#   predicted, the lower the generalised score.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: one more image that is predicted right lowers no score
#   DiceScore: 0.8333 without the healthy image, 0.8333 with it
#   MeanIoU: 0.75 without the healthy image, 0.75 with it
#   GeneralizedDiceScore: 0.8333 without the healthy image, 0.5556 with it
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 torchmetrics==1.9.0
venv/bin/python -W ignore - <<'PY'
import torch
from torchmetrics.segmentation import DiceScore, GeneralizedDiceScore, MeanIoU

truth = torch.zeros(3, 8, 8, dtype=torch.long)
found = truth.clone()
truth[0, :4], found[0, :2] = 1, 1
truth[1, :2, :2], found[1, :2, :2] = 1, 1


def score(metric, images, **options):
    metric = metric(
        num_classes=2, include_background=False, input_format='index', **options
    )
    metric.update(found[images], truth[images])
    return round(metric.compute().item(), 4)


with_lesion, every = [0, 1], [0, 1, 2]
scores = {
    'DiceScore': [score(DiceScore, i, average='macro') for i in (with_lesion, every)],
    'MeanIoU': [score(MeanIoU, i) for i in (with_lesion, every)],
    'GeneralizedDiceScore': [
        score(GeneralizedDiceScore, i) for i in (with_lesion, every)
    ],
}
print('expected: one more image that is predicted right lowers no score')
for name, (two, three) in scores.items():
    print(f'{name}: {two} without the healthy image, {three} with it')
assert scores['DiceScore'] == [0.8333, 0.8333]
assert scores['MeanIoU'] == [0.75, 0.75]
assert scores['GeneralizedDiceScore'] == [0.8333, 0.5556]
PY
