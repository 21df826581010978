#!/usr/bin/env bash
# MultiPy's Holm correction divides by one comparison too many, and rejects as many p values as lie below their bounds.
#
# Expected: fwer.holm_bonferroni rejects what Bonferroni rejects, and more: the smallest of m p values is compared with
#   alpha / m, the next one with alpha / (m - 1), and the procedure stops at the first that is larger.
# Happens: the smallest is compared with alpha / (m + 1): a single comparison of p 0.03 is not significant at 0.05, and
#   of 0.02 and 0.03 neither is, while Bonferroni rejects the first. It also does not stop: it counts how many p values
#   lie below their bounds, and rejects that many, from the smallest on. Of three equal p values of 0.02 one is
#   significant and two are not; Bonferroni and Holm reject none. fwer.hochberg counts in the same way: it rejects two
#   of these three, while Hochberg's procedure rejects all.
# Versions: multipy 0.16, NumPy 2.4.6.
# Why it matters: methods are compared at several hospitals, and Holm's correction decides which gains are named. The
#   error goes both ways, and which of equal results is called significant depends on their order.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   p values: Holm's rule; holm_bonferroni; bonferroni
#   [0.001, 0.012, 0.03]: [1, 1, 1]; [1, 1, 0]; [1, 1, 0]
#   [0.001, 0.9, 0.9]: [1, 0, 0]; [1, 0, 0]; [1, 0, 0]
#   [0.03]: [1]; [0]; [1]
#   [0.02, 0.03]: [1, 1]; [0, 0]; [1, 0]
#   [0.02, 0.02, 0.02]: [0, 0, 0]; [1, 0, 0]; [0, 0, 0]
#   hochberg of the last: [1, 1, 0]; expected all
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 multipy==0.16
venv/bin/python - <<'PY'
import numpy as np
from multipy import fwer

ALPHA = 0.05


def holm(values):
    """Holm's rule, written out for sorted p values."""
    rejected = [0] * len(values)
    for number, value in enumerate(values):
        if value > ALPHA / (len(values) - number):
            break
        rejected[number] = 1
    return rejected


def flags(found):
    return [int(flag) for flag in found]


print("p values: Holm's rule; holm_bonferroni; bonferroni")
results = {}
for values in ([0.001, 0.012, 0.03], [0.001, 0.9, 0.9], [0.03], [0.02, 0.03], [0.02] * 3):
    array = np.array(values)
    own = holm(values)
    theirs, plain = (
        flags(method(array, alpha=ALPHA)) for method in (fwer.holm_bonferroni, fwer.bonferroni)
    )
    print(f'{values}: {own}; {theirs}; {plain}')
    assert all(ours >= other for ours, other in zip(own, plain))
    results[tuple(values)] = own, theirs, plain
last = flags(fwer.hochberg(np.full(3, 0.02), alpha=ALPHA))
print(f'hochberg of the last: {last}; expected all')
own, theirs, _ = results[0.001, 0.9, 0.9]
assert own == theirs == [1, 0, 0]
assert results[(0.03,)] == ([1], [0], [1])
assert results[0.02, 0.03] == ([1, 1], [0, 0], [1, 0])
assert results[0.02, 0.02, 0.02] == ([0, 0, 0], [1, 0, 0], [0, 0, 0])
assert last == [1, 1, 0]
PY
