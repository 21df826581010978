#!/usr/bin/env bash
# Fairlearn reports a perfect model as maximally unfair if one hospital has no lesions.
#
# Expected: the sensitivity of a group without positives is undefined: NaN, a warning, or left out.
# Happens: true_positive_rate is 0.0 there. equalized_odds_difference and equal_opportunity_difference of a model
#   without any error are 1.0, the worst value, and the ratio is 0.0. A group without negatives has a false positive
#   rate of 0.0, the best value. There is no warning, while scikit-learn's recall_score of the same group warns.
# Versions: fairlearn 0.15.0, scikit-learn 1.9.1, NumPy 2.4.6, pandas 3.1.1.
# Why it matters: sites, scanners and age groups without a single lesion are common. A comparison of
#   models by this number compares which of them was tested on such a group.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   no error at all: equalized odds, equal opportunity, ratio of odds
#   B has one lesion: 0.0 0.0 1.0
#   B has no lesion: 1.0 1.0 0.0
#   B has only lesions: 0.0 0.0 1.0
#   scikit-learn warns
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 pandas==3.1.1 scikit-learn==1.9.1 fairlearn==0.15.0
venv/bin/python - <<'PY'
import warnings

from fairlearn.metrics import (
    equal_opportunity_difference,
    equalized_odds_difference,
    equalized_odds_ratio,
    true_positive_rate,
)
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import recall_score

warnings.simplefilter('error')  # so that a warning would be seen


def unfairness(name, truth_of_b):
    """Of a model without any error; hospital A has two lesions in four images."""
    truth = [1, 0, 1, 0, *truth_of_b]
    given = dict(y_true=truth, y_pred=truth, sensitive_features=list('AAAABBBB'))
    values = [
        equalized_odds_difference(**given),
        equal_opportunity_difference(**given),
        equalized_odds_ratio(**given),
    ]
    values = [float(value) for value in values]
    print(f'{name}:', *values)
    return values


print('no error at all: equalized odds, equal opportunity, ratio of odds')
assert unfairness('B has one lesion', [0, 0, 0, 1])[:2] == [0, 0]
assert unfairness('B has no lesion', [0, 0, 0, 0]) == [1, 1, 0]
assert unfairness('B has only lesions', [1, 1, 1, 1])[:2] == [0, 0]
assert true_positive_rate([0, 0, 0], [0, 0, 0], pos_label=1) == 0
try:
    recall_score([0, 0, 0], [0, 0, 0])
except UndefinedMetricWarning:
    print('scikit-learn warns')
else:
    raise AssertionError('scikit-learn does not warn')
PY
