#!/usr/bin/env bash
# For a boolean outcome, dcurves converts a marker to the risk that the disease is absent.
#
# Expected: dca(..., models_to_prob=['marker']) gives a marker the risk that a logistic regression finds, and the
#   outcome may be booleans, as in the package's own sample data, or 0 and 1.
# Happens: for booleans the formula creates two columns, absent and present, and the regression uses the first as the
#   event. The patients at the highest risk get the lowest one. The net benefit of the marker is -0.06 and not 0.23 at a
#   threshold of 0.3, below that of treating nobody. The same happens for the sample data. A column that already holds a
#   risk, and the curve of treating all, are correct. With 0 and 1 everything is correct. No message.
# Known: statsmodels' issue 2181 (open) has the formula and the booleans.
# Versions: dcurves 1.1.7, statsmodels 0.15.0, lifelines 0.30.3, pandas 2.3.3, NumPy 2.4.6, SciPy 1.17.1.
# Why it matters: whether it helps to act on a segmented area is judged by decision curves, and `mask.any()` is a
#   boolean. A useful marker appears harmful.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   net benefit at the thresholds 0.1 0.2 0.3 0.5
#   by hand: 0.301 0.261 0.227 0.156
#   by hand, risk of absence: 0.229 0.086 -0.057 -0.449
#   dcurves, 0 and 1: 0.301 0.261 0.227 0.156
#   dcurves, True and False: 0.229 0.086 -0.057 -0.449
#   own sample data, 0 and 1: 0.062 0.029 0.013 0.005
#   own sample data as it is: 0.044 -0.076 -0.233 -0.725
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 pandas==2.3.3 statsmodels==0.15.0 lifelines==0.30.3 dcurves==1.1.7
venv/bin/python -W ignore - <<'PY'
import numpy as np
import pandas as pd
import statsmodels.api as sm
from dcurves import data as folder
from dcurves import dca

THRESHOLDS = [0.1, 0.2, 0.3, 0.5]


def by_hand(outcome, risk):
    """Net benefit: found, less those treated for nothing, weighted by the odds of the threshold."""
    outcome = np.asarray(outcome, bool)
    found = [(risk >= t) & outcome for t in THRESHOLDS]
    needless = [(risk >= t) & ~outcome for t in THRESHOLDS]
    return [float(f.mean() - n.mean() * t / (1 - t)) for f, n, t in zip(found, needless, THRESHOLDS)]


def fitted(outcome, marker):
    return sm.Logit(np.asarray(outcome, int), sm.add_constant(np.asarray(marker))).fit(disp=0).predict()


def curves(frame, outcome, *models):
    result = dca(frame, outcome=outcome, modelnames=list(models), models_to_prob=['marker'], thresholds=THRESHOLDS)
    return {name: result[result.model == name].net_benefit.tolist() for name in (*models, 'all')}


def line(name, values):
    print(f'{name}:', *(f'{value:.3f}' for value in values))


generator = np.random.default_rng(0)
marker = generator.normal(size=2000)
risk = 1 / (1 + np.exp(1 - 2 * marker))
present = generator.random(2000) < risk
frame = pd.DataFrame(dict(present=present, marker=marker, risk=risk))
sample = pd.read_csv(f'{folder}/df_binary.csv')[['cancer', 'marker']]

right, inverted = by_hand(present, fitted(present, marker)), by_hand(present, 1 - fitted(present, marker))
booleans, numbers = curves(frame, 'present', 'marker', 'risk'), curves(frame.astype(float), 'present', 'marker', 'risk')
print('net benefit at the thresholds', *THRESHOLDS)
line('by hand', right)
line('by hand, risk of absence', inverted)
line('dcurves, 0 and 1', numbers['marker'])
line('dcurves, True and False', booleans['marker'])
assert np.allclose(numbers['marker'], right, atol=2e-3)
assert np.allclose(booleans['marker'], inverted, atol=2e-3) and right[2] > 0.2 and inverted[2] < 0
for name, values in (('risk', risk), ('all', np.ones(2000))):
    assert np.allclose(booleans[name], by_hand(present, values)) and np.allclose(numbers[name], booleans[name])

assert sample.cancer.dtype == bool
own = [curves(data, 'cancer', 'marker')['marker'] for data in (sample.astype(float), sample)]
line('own sample data, 0 and 1', own[0])
line('own sample data as it is', own[1])
assert np.allclose(own[0], by_hand(sample.cancer, fitted(sample.cancer, sample.marker)), atol=2e-3)
assert np.allclose(own[1], by_hand(sample.cancer, 1 - fitted(sample.cancer, sample.marker)), atol=2e-3)
assert own[0][1] > 0 > own[1][1]
PY
