#!/usr/bin/env bash
# statkit counts a score at the threshold as correct in sensitivity and specificity: a constant 0.5 scores 1 in both.
#
# Expected: at one threshold a score is called lesion or healthy, for both rates. A model that gives 0.5 to every image
#   has a sensitivity of 0 and a specificity of 1, or of 1 and 0, and a Youden index of 0.
# Happens: sensitivity counts what is at least the threshold, specificity what is not above it, so that a score at the
#   threshold is right in both. A model that always says 0.5 has 1.0, 1.0 and a Youden index of 1.0. The
#   threshold that youden_j_threshold returns is one of the scores: of five votes an image its rates are 0.9 and 1.0,
#   where scikit-learn's curve, from which it is taken, has 0.9 and 0.7. The help of both rates says that what exceeds
#   the threshold is positive. At a threshold between two scores they are right. No message.
# Versions: statkit 1.1.0, scikit-learn 1.9.1, NumPy 2.4.6.
# Why it matters: votes of readers or of models, scores in steps, and any threshold that was taken from the scores: some
#   lie at the threshold. The specificity of the chosen working point is too high.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   always 0.5: sensitivity, specificity, Youden: 1.0 1.0 1.0
#   votes, at its own threshold 0.6: [0.9, 1.0] by statkit, [0.9, 0.7] by the curve
#   a threshold between two scores, 0.5: [0.9, 0.7] by statkit
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scikit-learn==1.9.1 statkit==1.1.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
from sklearn.metrics import roc_curve
from statkit.metrics import sensitivity, specificity, youden_j, youden_j_threshold

truth = np.repeat([1, 0], 10)
always = np.full(20, 0.5)
rates = [float(rate(truth, always)) for rate in (sensitivity, specificity, youden_j)]
print('always 0.5: sensitivity, specificity, Youden:', *rates)
assert rates == [1, 1, 1]

# Share of five readers who see a lesion.
votes = np.array([5, 5, 4, 4, 3, 3, 3, 3, 3, 1, 3, 3, 3, 2, 2, 1, 1, 1, 0, 0]) / 5
chosen = float(youden_j_threshold(truth, votes))
false, true, thresholds = roc_curve(truth, votes)
at = int(np.flatnonzero(thresholds == chosen)[0])
statkit = [round(float(rate(truth, votes, chosen)), 2) for rate in (sensitivity, specificity)]
curve = [round(float(true[at]), 2), round(float(1 - false[at]), 2)]
print(f'votes, at its own threshold {chosen}: {statkit} by statkit, {curve} by the curve')
assert statkit[0] == curve[0] and statkit[1] > curve[1] + 0.2
assert sum(statkit) - 1 > (true - false).max() + 0.2

between = [round(float(rate(truth, votes, chosen - 0.1)), 2) for rate in (sensitivity, specificity)]
print(f'a threshold between two scores, {chosen - 0.1:.1f}: {between} by statkit')
assert between == curve
PY
