#!/usr/bin/env bash
# scikit-learn scores a two-dimensional mask of 50 x 50 pixels as 50 samples with 50 labels each.
#
# Expected: the scores of two masks of (50, 50) are those of their 2,500 pixels, or an error.
# Happens: a matrix of zeros and ones is a multilabel target: rows are samples, columns labels. accuracy_score is the
#   share of rows without any error (0.96 and not 0.984); averages are over columns, those without lesion at 0; and
#   brier_score_loss is 8.06, a sum over columns, of something that lies between 0 and 1. With average='binary' there is
#   an error. Each page mentions multilabel input; none mentions images.
# Versions: scikit-learn 1.9.1, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: the scores depend on the orientation and width of the image, and look plausible. Use ravel() always.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: one score of a mask, whether it lies as an image or as a row
#   accuracy: as a row 0.984, as an image 0.96
#   macro F1: as a row 0.97, as an image 0.38
#   average precision: as a row 0.661, as an image 0.327
#   Brier score: as a row 0.161, as an image 8.056
#   log loss: as a row 0.478, as an image 3.782
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
venv/bin/python -W ignore - <<'PY'
import numpy as np
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    log_loss,
)

rng = np.random.default_rng(0)
truth = np.zeros((50, 50), int)
truth[10:30, 10:30] = 1
found = np.roll(truth, 1, axis=0)
probability = 0.3 * truth + 0.7 * rng.random(truth.shape)
CASES = {
    'accuracy': (accuracy_score, found, {}),
    'macro F1': (f1_score, found, dict(average='macro')),
    'average precision': (average_precision_score, probability, {}),
    'Brier score': (brier_score_loss, probability, {}),
    'log loss': (log_loss, probability, {}),
}
print('expected: one score of a mask, whether it lies as an image or as a row')
results = {}
for name, (measure, prediction, options) in CASES.items():
    row = measure(truth.ravel(), prediction.ravel(), **options)
    results[name] = round(float(row), 3), round(float(measure(truth, prediction, **options)), 3)
    print(f'{name}: as a row {results[name][0]}, as an image {results[name][1]}')
# Two of them by hand: the row is right.
assert results['accuracy'] == (round(float((truth == found).mean()), 3), 0.96)
assert results['Brier score'][0] == round(float(((truth - probability) ** 2).mean()), 3)
assert results['Brier score'][1] > 8 and results['macro F1'][1] < 0.4 < 0.9 < results['macro F1'][0]
assert results['average precision'][1] < 0.5 < results['average precision'][0]
assert results['log loss'][1] > 7 * results['log loss'][0]
PY
