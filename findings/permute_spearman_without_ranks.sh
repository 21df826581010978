#!/usr/bin/env bash
# permute's Spearman correlation uses no ranks: it depends on the order of the rows; 0.84 becomes -0.01.
#
# Expected: spearman_corr gives Spearman's coefficient, as SciPy does, with a p value by permutation.
# Happens: the result of argsort is used as the rank. It tells which row is the smallest, not the rank of a row, so that
#   in any usual order the coefficient is noise about 0. It is right where the rows are sorted by the first variable,
#   and where both variables rise together without an exception. No message.
# Versions: permute 0.2, cryptorandom 0.3, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: "does uncertainty go with error", "does Dice rise with the size of a lesion": the answer is no for any
#   data, and the coefficient changes with the order of the images. Pass ranks to corr.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   size and Dice of 200 lesions; expected: 0.842 in any order, and p 0.001
#   sorted by size: 0.842 p 0.001
#   in another order: -0.009 p 0.546
#   in a third order: -0.131 p 0.963
#   ranks, in a third order: 0.842 p 0.001
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 cryptorandom==0.3 permute==0.2
venv/bin/python -W ignore - <<'PY'
import numpy as np
from permute.core import corr, spearman_corr
from scipy import stats

rng = np.random.default_rng(0)
size = np.sort(rng.uniform(size=200))
dice = 0.5 + 0.4 * size + rng.normal(0, 0.08, 200)
TRUE = round(float(stats.spearmanr(size, dice).statistic), 3)


def found(function, first, second):
    coefficient, p, _ = function(first, second, reps=999, seed=1)
    return round(float(coefficient), 3), round(float(p), 3)


second, third = rng.permutation(200), rng.permutation(200)
assert round(float(stats.spearmanr(size[third], dice[third]).statistic), 3) == TRUE
results = {
    'sorted by size': found(spearman_corr, size, dice),
    'in another order': found(spearman_corr, size[second], dice[second]),
    'in a third order': found(spearman_corr, size[third], dice[third]),
    'ranks, in a third order': found(corr, stats.rankdata(size[third]), stats.rankdata(dice[third])),
}
print(f'size and Dice of 200 lesions; expected: {TRUE} in any order, and p 0.001')
for name, (coefficient, p) in results.items():
    print(f'{name}: {coefficient} p {p}')
in_order, another, another_yet, of_ranks = results.values()
assert 'p-value for Spearman correlation coefficient' in spearman_corr.__doc__
assert in_order == of_ranks == (TRUE, 0.001) and TRUE > 0.8
assert all(abs(coefficient) < 0.3 and p > 0.05 for coefficient, p in (another, another_yet))
assert spearman_corr(dice, dice**3, reps=9, seed=1)[0] > 0.999
PY
