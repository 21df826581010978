#!/usr/bin/env bash
# With one undefined p value in statsmodels, Holm still corrects for it and Benjamini-Hochberg returns NaN for all.
#
# Expected: multipletests() treats NaN alike in all methods: it leaves it out, or refuses.
# Happens: 'holm' and 'bonferroni' count it as a comparison (0.01 becomes 0.03, not 0.02) and
#   keep NaN in its place; 'fdr_bh', 'hommel' and 'simes-hochberg' return NaN for every
#   comparison and reject none. No warning says so.
# Versions: statsmodels 0.15.0, NumPy 2.4.6.
# Why it matters: a paired test over hospitals or seeds whose differences are all zero has
#   no p value. In a table of comparisons it changes the other rows, or empties them.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: 0.02 and 0.03, the defined two alone: [0.02, 0.03]
#   happened, holm: [0.03, nan, 0.06]
#   happened, bonferroni: [0.03, nan, 0.09]
#   happened, fdr_bh: [nan, nan, nan]
#   happened, hommel: [nan, nan, nan]
#   happened, simes-hochberg: [nan, nan, nan]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 statsmodels==0.15.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
from statsmodels.stats.multitest import multipletests

p_values = [0.01, np.nan, 0.03]


def corrected(values, method):
    return [round(float(p), 4) for p in multipletests(values, method=method)[1]]


print('expected: 0.02 and 0.03, the defined two alone:', corrected([0.01, 0.03], 'holm'))
for method in ('holm', 'bonferroni', 'fdr_bh', 'hommel', 'simes-hochberg'):
    print(f'happened, {method}:', corrected(p_values, method))
assert corrected([0.01, 0.03], 'holm') == [0.02, 0.03]
for method, last in (('holm', 0.06), ('bonferroni', 0.09)):
    first, middle, third = corrected(p_values, method)
    assert (first, third) == (0.03, last) and np.isnan(middle)
for method in ('fdr_bh', 'hommel', 'simes-hochberg'):
    assert np.isnan(corrected(p_values, method)).all()
PY
