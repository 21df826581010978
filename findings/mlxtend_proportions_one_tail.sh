#!/usr/bin/env bash
# mlxtend's test of two proportions depends on which model is named first.
#
# Expected: a test of whether two rates differ gives one p-value, independent of their order: 0.048 for 90 and 80 of
#   100, two-sided, as statsmodels returns.
# Happens: p is the lower tail of z. With the better model first it is 0.977, with the worse one first 0.023, and 0.5
#   for equal rates. The help says "the p-value" and names no side. The guide asks whether models differ and calls 0.040
#   at z = -1.754 a significant difference; two-sided it is not significant (0.079).
# Versions: mlxtend 0.25.0, statsmodels 0.15.0, NumPy 2.4.6, SciPy 1.17.1, scikit-learn 1.9.1,
#   pandas 3.1.1.
# Why it matters: shares of lesions found at two hospitals, or by two models, are compared this way. Whether a
#   difference is significant then depends on the order in which they are listed.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   p: mlxtend, statsmodels
#   0.9 0.8 : 0.977 0.048
#   0.8 0.9 : 0.023 0.048
#   0.8 0.8 : 0.5 1.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 \
  scikit-learn==1.9.1 pandas==3.1.1 statsmodels==0.15.0 mlxtend==0.25.0
venv/bin/python -W ignore - <<'PY'
from mlxtend.evaluate import proportion_difference
from statsmodels.stats.proportion import proportions_ztest


def p_values(first, second, count=100):
    found = [round(first * count), round(second * count)]
    p = proportion_difference(first, second, count)[1], proportions_ztest(found, [count] * 2)[1]
    p = [round(float(value), 3) for value in p]
    print(first, second, ':', *p)
    return p


print('p: mlxtend, statsmodels')
assert p_values(0.9, 0.8) == [0.977, 0.048]
assert p_values(0.8, 0.9) == [0.023, 0.048]
assert p_values(0.8, 0.8) == [0.5, 1]
PY
