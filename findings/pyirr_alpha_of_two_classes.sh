#!/usr/bin/env bash
# For two classes, pyirr's Krippendorff's alpha is below 0 for raters who always agree.
#
# Expected: 1 for raters who agree everywhere, below 0 for raters who never do, as in the package krippendorff.
# Happens: of two classes the agreements are counted among the disagreements: -1.75 for two raters who agree on all of six
#   images, and 1.0 for two who never do. Of three classes other pairs are left out. Four classes are right. No message.
# Versions: pyirr 0.84.1.2, krippendorff 0.9.0, statsmodels 0.15.0, pandas 3.1.1, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: two readers are compared on the question of lesion or no lesion, and alpha tells how far masks can be
#   trusted as ground truth. The better the readers, the worse the number.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   alpha by krippendorff, by pyirr
#   two classes, always agree: 1.0 -1.75
#   two classes, never agree: -0.75 1.0
#   two classes, 95 of 100 agree: 0.64 -11.91
#   four classes, always agree: 1.0 1.0
#   four classes, 20 of 40 agree: 0.34 0.34
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 pandas==3.1.1 statsmodels==0.15.0 krippendorff==0.9.0
venv/bin/pip install --quiet --disable-pip-version-check --no-deps pyirr==0.84.1.2
venv/bin/python -W ignore - <<'PY'
import krippendorff
import numpy as np
import pyirr


def alphas(name, *raters):
    ratings = np.array(raters)
    ours = pyirr.kripp_alpha(ratings.T).value
    values = [round(float(v), 2) for v in (krippendorff.alpha(ratings, level_of_measurement='nominal'), ours)]
    print(f'{name}:', *values)
    return values


print('alpha by krippendorff, by pyirr')
assert alphas('two classes, always agree', [0, 1, 0, 1, 0, 0], [0, 1, 0, 1, 0, 0]) == [1.0, -1.75]
assert alphas('two classes, never agree', [0, 1, 0, 1], [1, 0, 1, 0]) == [-0.75, 1.0]
first, second = np.repeat([0, 0, 1], [90, 5, 5]), np.repeat([0, 1, 1], [90, 5, 5])
assert alphas('two classes, 95 of 100 agree', first, second) == [0.64, -11.91]
four = np.repeat([0, 1, 2, 3], 10)
assert alphas('four classes, always agree', four, four) == [1.0, 1.0]
assert alphas('four classes, 20 of 40 agree', four, np.roll(four, 5)) == [0.34, 0.34]
PY
