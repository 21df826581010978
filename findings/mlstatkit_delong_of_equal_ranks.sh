#!/usr/bin/env bash
# In MLstatkit's DeLong test a model differs from its own calibrated scores, with p = 0.
#
# Expected: scores that are scaled by a temperature rank the images as before: the AUC is the same, and p is
#   1, or NaN.
# Happens: the variance of the difference is 0, and a bootstrap takes over. All its differences are 0, of which none
#   lies above 0, and twice the smaller share is p: 0.0, with z = 0.0. The same for a model and itself, and for two that
#   are both perfect. No message; the help names the bootstrap for this case, but not its result.
# Versions: MLstatkit 0.1.91, SciPy 1.17.1, NumPy 2.4.6, scikit-learn 1.9.1.
# Why it matters: in a table of many comparisons p = 0.0 is the most significant one. Calibration and
#   ensembles of one model, and easy hospitals, where both are perfect, give just this.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   z and p; expected of the first four: 0 and 1
#   itself: 0.0 0.0 bootstrap
#   itself, calibrated: 0.0 0.0 bootstrap
#   itself, one score moved by 0.001: 0.0 0.0 bootstrap
#   two perfect models: 0.0 0.0 bootstrap
#   another model: 1.3605 0.1737 delong
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 mlstatkit==0.1.91
venv/bin/python -W error - <<'PY'
import numpy as np
from MLstatkit import Delong_test

draw = np.random.default_rng(0).normal
truth = np.repeat([1, 0], [40, 60])


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


logits = truth + draw(0, 1, 100)
other = sigmoid(truth + draw(0, 1, 100))
moved = sigmoid(logits)
moved[0] += 0.001
CASES = {
    'itself': (sigmoid(logits), sigmoid(logits)),
    'itself, calibrated': (sigmoid(logits), sigmoid(logits / 2)),
    'itself, one score moved by 0.001': (sigmoid(logits), moved),
    'two perfect models': (0.8 * truth + 0.1, 0.6 * truth + 0.2),
    'another model': (sigmoid(logits), other),
}
print('z and p; expected of the first four: 0 and 1')
for name, (one, two) in CASES.items():
    z, p, *_, info = Delong_test(truth, one, two, n_boot=1000, random_state=0)
    print(f'{name}:', round(float(z), 4), round(float(p), 4), info['method'])
    assert (z == p == 0) == (name != 'another model')
    assert name != 'another model' or (1.3 < z < 1.4 and 0.1 < p < 0.2)
PY
