#!/usr/bin/env bash
# deepsig's paired bootstrap test does not resample pairs: a model that is better on each of ten images gets p = 0.4.
#
# Expected: bootstrap_test(scores_a, scores_b), a paired test by its help, draws images, each with both of its scores.
#   Where A is better by 0.01 to 0.03 on every image p is 0; with the scores of B in another order, which tears the
#   pairs apart, it is large.
# Happens: the scores of A and of B are drawn independently, as for two groups of different images. Both p are 0.4. The
#   package's permutation test keeps the pairs, and so finds 0.001 and 0.43.
# Versions: deepsig 1.2.8, NumPy 2.4.6, SciPy 1.17.1, pandas 3.1.1.
# Why it matters: images differ in difficulty by far more than two networks on one image do, which is why one
#   compares by pairs. A gain that is there on every image is not found.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   p: pairs kept, pairs torn apart
#   bootstrap of pairs, written out: 0.0 0.43
#   bootstrap of two groups, written out: 0.4 0.39
#   deepsig, permutation_test: 0.001 0.43
#   deepsig, bootstrap_test: 0.4 0.4
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 pandas==3.1.1 deepsig==1.2.8
venv/bin/python -W ignore - <<'PY'
import numpy as np
from deepsig import bootstrap_test, permutation_test

# Dice of ten images by two networks; the first is the better one on each.
FIRST = np.array([0.42, 0.51, 0.58, 0.63, 0.70, 0.74, 0.81, 0.86, 0.90, 0.94])
SECOND = FIRST - np.array([0.02, 0.03, 0.02, 0.01, 0.02, 0.03, 0.02, 0.02, 0.01, 0.02])


def written_out(first, second, pairs):
    """Share of resamples whose difference is at least twice the observed one, as deepsig counts it."""
    generator = np.random.default_rng(0)
    drawn = generator.integers(0, 10, (20000, 10))
    others = drawn if pairs else generator.integers(0, 10, (20000, 10))
    differences = first[drawn].mean(1) - second[others].mean(1)
    return (differences >= 2 * (first.mean() - second.mean())).mean()


def line(name, test):
    values = [float(test(FIRST, second)) for second in (SECOND, SECOND[::-1])]
    print(f'{name}:', *(round(value, 3 if value < 0.01 else 2) for value in values))
    return values


print('p: pairs kept, pairs torn apart')
kept, torn = line('bootstrap of pairs, written out', lambda a, b: written_out(a, b, True))
assert kept == 0 and torn > 0.3
groups = line('bootstrap of two groups, written out', lambda a, b: written_out(a, b, False))
kept, torn = line('deepsig, permutation_test', lambda a, b: permutation_test(a, b, num_samples=5000, seed=1))
assert kept < 0.005 and torn > 0.3
found = line('deepsig, bootstrap_test', lambda a, b: bootstrap_test(a, b, num_samples=5000, seed=1))
assert np.allclose(found, groups, atol=0.03) and min(found) > 0.35
PY
