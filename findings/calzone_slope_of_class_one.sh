#!/usr/bin/env bash
# calzone gives every class the calibration slope of class 1.
#
# Expected: CalibrationMetrics(class_to_calculate=2) measures class 2 against the rest, as its help says. A slope near 1
#   means that its probabilities are correct, one near 0.3 that they are overconfident.
# Happens: the slope and intercept of the Cox regression (COX) are those of class 1, whichever class is requested, while
#   the calibration error (ECE-H) beside them is that of the requested class. An overconfident class with a slope of
#   0.44 gets the 1.02 of another class. The function below it, cox_regression_analysis(class_to_calculate=2), compares
#   the labels of class 2 with the probabilities of class 1: the slope is negative. With two classes CalibrationMetrics
#   is correct, because both have the same slope. No message.
# Versions: calzone-tool 0.1.0, statsmodels 0.15.0, NumPy 2.4.6, SciPy 1.17.1.
# Why it matters: background, lesion and instrument are three classes. If class 1 is calibrated, all three are reported
#   as calibrated.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   slope by hand, of COX, of the function; calibration error
#   class 0: 0.42 1.02 -0.35 - 0.097
#   class 1: 1.02 1.02 1.02 - 0.01
#   class 2: 0.44 1.02 -0.33 - 0.096
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 statsmodels==0.15.0 calzone-tool==0.1.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
import statsmodels.api as sm
from calzone.metrics import CalibrationMetrics, cox_regression_analysis


def logit(p):
    return np.log(p / (1 - p))


generator = np.random.default_rng(0)
truth = generator.dirichlet([1, 1, 1], 8000)
labels = (generator.random((8000, 1)) > truth.cumsum(1)).sum(1)
# Class 1 as it is; what it leaves goes to classes 0 and 2 three times as surely as it should.
share = 1 / (1 + np.exp(-3 * logit(truth[:, 2] / (1 - truth[:, 1]))))
share = np.clip(share, 1e-4, 1 - 1e-4)
rest = 1 - truth[:, 1]
said = np.stack([rest * (1 - share), truth[:, 1], rest * share], 1)


def by_hand(index):
    """Slope of a logistic regression of being of the class on the log odds of its own probability."""
    return sm.Logit((labels == index).astype(int), sm.add_constant(logit(said[:, index]))).fit(disp=0).params[1]


print('slope by hand, of COX, of the function; calibration error')
right, found, function, error = [], [], [], []
for index in range(3):
    metrics = CalibrationMetrics(class_to_calculate=index)
    measured = metrics.calculate_metrics(labels.copy(), said, metrics=['COX', 'ECE-H'])
    right.append(by_hand(index))
    found.append(measured['COX coef'])
    function.append(cox_regression_analysis(labels.copy(), said, class_to_calculate=index)[0])
    error.append(measured['ECE-H'])
    values = [round(float(values[-1]), 2) for values in (right, found, function)]
    print(f'class {index}:', *values, '-', round(float(error[-1]), 3))
assert np.allclose(found, right[1]) and abs(right[1] - 1) < 0.1
assert right[0] < 0.6 and right[2] < 0.6
assert function[0] < 0 and function[2] < 0 and np.isclose(function[1], right[1])
assert error[1] < 0.02 < 0.05 < min(error[0], error[2])
PY
