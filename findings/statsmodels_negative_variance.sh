#!/usr/bin/env bash
# statsmodels' DerSimonian-Laird pooled effect of four hospitals lies above the effect of each of them.
#
# Expected: DerSimonian and Laird's variance between hospitals is 0 where they agree more than
#   chance would have it, as in the textbook and in R. The pooled effect is then the fixed one.
# Happens: combine_effects(method_re='dl') keeps the negative variance. Weights 1 / (v + tau2)
#   turn negative: effects of 0.02 to 0.05 are pooled to 0.0655. The default,
#   method_re='iterated', stops at 0. No message.
# Versions: statsmodels 0.15.0, NumPy 2.4.6.
# Why it matters: few hospitals of many images each often agree this well. The pooled gain of
#   a method, and whether its interval leaves out 0, is then nonsense.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: variance 0 and a pooled gain within 0.02 to 0.05
#   happened, iterated: 0.0 0.031
#   happened, dl: -0.0005 0.0655
#   hospitals that differ, iterated and dl: 0.00492 0.043 0.00396 0.0426
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 statsmodels==0.15.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
from statsmodels.stats.meta_analysis import combine_effects

gains = np.array([0.02, 0.05, 0.03, 0.04])  # of Dice, one a hospital
variances = np.array([4e-4, 1e-3, 6e-4, 9e-4])
unlike = np.array([0.02, 0.15, -0.03, 0.04])


def pooled(effects, method):
    result = combine_effects(effects, variances, method_re=method)
    row = result.summary_frame().loc['random effect']
    return round(float(result.tau2), 5), round(float(row['eff']), 4)


print('expected: variance 0 and a pooled gain within', gains.min(), 'to', gains.max())
print('happened, iterated:', *pooled(gains, 'iterated'))
print('happened, dl:', *pooled(gains, 'dl'))
print('hospitals that differ, iterated and dl:', *pooled(unlike, 'iterated'), *pooled(unlike, 'dl'))
assert pooled(gains, 'iterated') == (0, 0.031)
tau2, gain = pooled(gains, 'dl')
assert tau2 < -4e-4 and gain > gains.max()
assert pooled(unlike, 'dl')[0] > 0 and unlike.min() < pooled(unlike, 'dl')[1] < unlike.max()
PY
