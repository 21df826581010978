#!/usr/bin/env bash
# In mlxtend's McNemar test a model differs from itself, with p = 0.
#
# Expected: where two models never disagree there is no evidence of a difference: p is 1, or NaN.
# Happens: the continuity correction is also subtracted from a difference of 0, so (|0 - 0| - 1)**2 / 0 is infinite, and
#   p is 0.0. If each of the two is the only correct one once, p is 0.48 and not 1. exact=True gives 1 for both; its
#   help recommends it below 25, and it is not the default. statsmodels does the same where exact=False is asked for.
# Versions: mlxtend 0.25.0, NumPy 2.4.6, SciPy 1.17.1, scikit-learn 1.9.1, pandas 3.1.1.
# Why it matters: found or missed, lesion by lesion, is compared this way, site by site. On a small or easy
#   site two models agree on every lesion, and the table shows their difference as the most
#   significant of all.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   right alone: first, second; p by default, p of the exact test
#   0 0 : 0.0 1.0
#   1 1 : 0.48 1.0
#   1 9 : 0.027 0.021
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 pandas==3.1.1 mlxtend==0.25.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
from mlxtend.evaluate import mcnemar, mcnemar_table


def p_values(first_alone, second_alone):
    """30 lesions that both models found, and those that one of them found alone."""
    truth = np.ones(30 + first_alone + second_alone, int)
    first, second = truth.copy(), truth.copy()
    second[:first_alone] = 0
    first[first_alone : first_alone + second_alone] = 0
    table = mcnemar_table(truth, first, second)
    p = [float(mcnemar(table, exact=exact)[1]) for exact in (False, True)]
    p = [round(value, 3) for value in p]
    print(first_alone, second_alone, ':', *p)
    return p


print('right alone: first, second; p by default, p of the exact test')
assert p_values(0, 0) == [0, 1]
assert p_values(1, 1) == [0.48, 1]
assert p_values(1, 9) == [0.027, 0.021]
PY
