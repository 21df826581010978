#!/usr/bin/env bash
# ADAPT's scorer transforms the already transformed source again at each call: only the first model gets its true score.
#
# Expected: make_uda_scorer(cov_distance, Xs, Xt) gives a function that scores each model by how close its transformed
#   source comes to the target. A model has the same score at each call, and the best of several wins, in any order.
# Happens: each call replaces the source that the scorer keeps by the transformed one. CORAL at a lambda of 1e-5 makes
#   both covariances equal, a distance of 0.00; asked again, 22.10, then 241.38. Asked for lambdas of 100, 1 and 1e-5,
#   in this order, it ranks 1e-5 last, at 11.89; in the reverse order first. A new scorer for each model is right. No
#   message.
# Versions: adapt 0.4.5, TensorFlow 2.21.0, Keras 3.15.1, scikit-learn 1.9.1, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: without labels of the new hospital, this scorer is the way to choose the strength of adaptation, in
#   GridSearchCV as its help says. What it chooses depends on the order in which the strengths are listed.
# Seen: 2026-12-01, Linux x86-64, Python 3.11, exit status 0. Output:
#   one model, three calls, expected: 0.00 each - happened: 0.0 22.1 241.38
#   lambda 100, 1, 1e-5, a scorer for each, expected: 2.21 1.15 0.0
#   lambda 100, 1, 1e-5, one scorer, happened: 2.21 1.04 11.89
#   lambda 1e-5, 1, 100, one scorer, happened: 0.0 10.77 11.88
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 \
  tensorflow==2.21.0 keras==3.15.1 scikeras==0.13.0 cvxopt==1.3.3 adapt==0.4.5
TF_CPP_MIN_LOG_LEVEL=3 venv/bin/python -W ignore - <<'PY'
import numpy as np
from adapt.feature_based import CORAL
from adapt.metrics import cov_distance, make_uda_scorer
from sklearn.linear_model import LogisticRegression

draw = np.random.default_rng(0).normal
source, target = draw(0, 1, (200, 2)), draw(0, 1, (200, 2)) * [3, 1]
labels = (source[:, 0] > 0).astype(int)


def fitted(strength):
    model = CORAL(LogisticRegression(), Xt=target, lambda_=strength, verbose=0)
    return model.fit(source, labels)


models = {strength: fitted(strength) for strength in (100, 1, 1e-5)}


def distances(order, shared):
    scorer = make_uda_scorer(cov_distance, source, target)
    found = []
    for strength in order:
        if not shared:
            scorer = make_uda_scorer(cov_distance, source, target)
        found.append(abs(round(float(scorer(models[strength], source, labels)), 2)))
    return found


closest = models[1e-5].transform(source, domain='src')
by_hand = abs(np.cov(closest, rowvar=False) - np.cov(target, rowvar=False)).mean()
three = distances([1e-5] * 3, shared=True)
print(f'one model, three calls, expected: {by_hand:.2f} each - happened:', *three)
falling, rising = [100, 1, 1e-5], [1e-5, 1, 100]
right = distances(falling, shared=False)
print('lambda 100, 1, 1e-5, a scorer for each, expected:', *right)
one_way, other_way = distances(falling, shared=True), distances(rising, shared=True)
print('lambda 100, 1, 1e-5, one scorer, happened:', *one_way)
print('lambda 1e-5, 1, 100, one scorer, happened:', *other_way)
assert by_hand < 0.005 and three[0] == 0 and three[1] > 10 and three[2] > 100
assert right[0] > right[1] > right[2] == 0
assert one_way[0] == right[0] and one_way[2] == max(one_way)
assert other_way[0] == right[2] == min(other_way)
PY
