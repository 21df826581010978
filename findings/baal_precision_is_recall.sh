#!/usr/bin/env bash
# Baal's Precision is the recall of each class.
#
# Expected: precision is the share of correct pixels among those that are predicted as the class.
# Happens: the correct pixels are divided by the ground-truth pixels of the class. A model that predicts lesion
#   everywhere scores 1.0 instead of 0.1, and one that finds a tenth of a lesion without any error scores 0.1 instead of
#   1.0. The metric named 'precision' in a list of metrics does the same. Accuracy is correct. No message.
# Versions: baal 2.1.0, scikit-learn 1.9.1, torch 2.13.0, NumPy 2.4.6.
# Why it matters: rare lesions are over-segmented first of all, and precision is what shows it. This one rises as more
#   pixels are marked, so of two models the one with more false alarms is chosen.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   precision of [background, lesion]
#   all is lesion: expected [0.0, 0.1], happened [0.0, 1.0], recall [0.0, 1.0]
#   a tenth of it: expected [0.91, 1.0], happened [1.0, 0.1], recall [1.0, 0.1]
#   perfect: expected [1.0, 1.0], happened [1.0, 1.0], recall [1.0, 1.0]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 pillow==13.0.0 tqdm structlog torch==2.13.0 torchmetrics==1.9.0
venv/bin/pip install --quiet --disable-pip-version-check --no-deps baal==2.1.0
venv/bin/python -W ignore - <<'PY'
import torch
from baal.utils import metrics
from sklearn.metrics import precision_score, recall_score

truth = torch.zeros(1, 10, 10, dtype=torch.long)
truth[:, 0] = 1
everything = torch.ones_like(truth)
a_tenth = torch.zeros_like(truth)
a_tenth[0, 0, 0] = 1


def scores(prediction):
    """Precision of background and lesion: Baal's, and precision and recall of scikit-learn."""
    maps = torch.nn.functional.one_hot(prediction, 2).movedim(-1, 1).float()
    precision = metrics.Precision(2, average=False)
    precision.update(maps, truth)
    pair = truth.flatten().numpy(), prediction.flatten().numpy()
    rows = precision.value, *(score(*pair, average=None, zero_division=0) for score in (precision_score, recall_score))
    return [[round(float(value), 2) for value in row] for row in rows]


print('precision of [background, lesion]')
for name, prediction in {'all is lesion': everything, 'a tenth of it': a_tenth, 'perfect': truth}.items():
    found, precision, recall = scores(prediction)
    print(f'{name}: expected {precision}, happened {found}, recall {recall}')
    assert found == recall
    assert (found == precision) == (name == 'perfect')
PY
