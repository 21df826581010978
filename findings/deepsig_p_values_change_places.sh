#!/usr/bin/env bash
# deepsig returns corrected p values at the positions of other comparisons: 0.5 becomes 0.04, 0.001 becomes 0.5.
#
# Expected: bonferroni_correction(p_values) multiplies by the number of comparisons, up to 1, and keeps each p value
#   in its place, as a comment in its source says it does.
# Happens: the p values are sorted, corrected, and put back by the order that sorted them, not by its inverse. Of three
#   comparisons with 0.5, 0.001 and 0.02 the first, which shows nothing, is significant, and the clearest is not. Sorted
#   p values, and a single swap, come back in place. The factors are those of Holm's method (3, 2 and 1), not of
#   Bonferroni's. No message.
# Versions: deepsig 1.2.8, NumPy 2.4.6, SciPy 1.17.1, pandas 3.1.1.
# Why it matters: a method is compared with several others, or in several hospitals, and the method that is reported as
#   better is not the one that is better. The package is made for comparisons of networks.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   p: deepsig, Bonferroni by hand
#   0.001 0.02 0.5 : 0.003 0.04 0.5 - 0.003 0.06 1
#   0.02 0.001 0.5 : 0.04 0.003 0.5 - 0.06 0.003 1
#   0.5 0.001 0.02 : 0.04 0.5 0.003 - 1 0.003 0.06
#   0.02 0.5 0.001 : 0.5 0.003 0.04 - 0.06 1 0.003
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 pandas==3.1.1 deepsig==1.2.8
venv/bin/python -W ignore - <<'PY'
import numpy as np
from deepsig import bonferroni_correction


def corrected(*p_values):
    found = [round(float(p), 4) for p in bonferroni_correction(np.array(p_values))]
    by_hand = [round(min(1, p * len(p_values)), 4) for p in p_values]
    print(*p_values, ':', *found, '-', *by_hand)
    return found


print('p: deepsig, Bonferroni by hand')
assert corrected(0.001, 0.02, 0.5) == [0.003, 0.04, 0.5]
assert corrected(0.02, 0.001, 0.5) == [0.04, 0.003, 0.5]
assert corrected(0.5, 0.001, 0.02) == [0.04, 0.5, 0.003]
assert corrected(0.02, 0.5, 0.001) == [0.5, 0.003, 0.04]
PY
