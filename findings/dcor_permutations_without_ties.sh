#!/usr/bin/env bash
# dcor's permutation tests do not count permutations that tie: three images against three have p = 0.001.
#
# Expected: p is the share of permutations with a statistic at least as large as the observed one. Two groups of three
#   images can be formed in 20 ways, of which two are the observed groups: p is at least 0.1. Where all values are
#   equal, p is 1.
# Happens: only larger statistics are counted, equal ones are not. The energy test of three images against three that
#   are separated has p 0.01 with 99 permutations and 0.001 with 999. A feature that is 0 in all images of both
#   hospitals has a statistic of 0 and p 0.001, in the energy test and in the test of distance covariance. No message.
#   For twenty images against twenty, without ties, p is that of SciPy's permutation test.
# Versions: dcor 0.7, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: the tests are made for features of networks, of which many are 0 everywhere behind a ReLU, and for
#   few hospitals or seeds. More permutations make any difference significant, even none.
# Seen: 2026-12-01, Linux x86-64, Python 3.11, exit status 0. Output:
#   three against three, expected: 0.100 - happened: 0.010, with 999 permutations 0.001
#   all values 0, expected: 1.000 - happened: 0.001, as dependence on another feature 0.001
#   twenty against twenty, expected: 0.034 - happened: 0.034
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 dcor==0.7
venv/bin/python -W ignore - <<'PY'
from itertools import combinations

import dcor
import numpy as np
from scipy import stats


def energy_p(one, other, permutations):
    test = dcor.homogeneity.energy_test(one[:, None], other[:, None], num_resamples=permutations, random_state=0)
    return round(float(test.pvalue), 3)


def energy(one, other):
    return stats.energy_distance(one, other)


one, other = np.array([0.1, 0.2, 0.35]), np.array([0.8, 0.86, 0.97])
everything = np.concatenate([one, other])
observed = energy(one, other)
ways = [energy(everything[list(rows)], np.delete(everything, rows)) for rows in combinations(range(6), 3)]
exact = float(np.mean(np.array(ways) > observed - 1e-12))
few, many = energy_p(one, other, 99), energy_p(one, other, 999)
print(f'three against three, expected: {exact:.3f} - happened: {few:.3f}, with 999 permutations {many:.3f}')

zeros = np.zeros(20)
all_zero = energy_p(zeros, zeros, 999)
test = dcor.independence.distance_covariance_test(zeros, np.arange(20.0), num_resamples=999, random_state=0)
dependence = round(float(test.pvalue), 3)
print(f'all values 0, expected: 1.000 - happened: {all_zero:.3f}, as dependence on another feature {dependence:.3f}')

generator = np.random.default_rng(0)
one, other = generator.normal(0, 1, 20), generator.normal(0.4, 1, 20)
scipy_test = stats.permutation_test((one, other), energy, n_resamples=999, alternative='greater', rng=0)
without_ties = energy_p(one, other, 999)
print(f'twenty against twenty, expected: {scipy_test.pvalue:.3f} - happened: {without_ties:.3f}')
assert exact == 0.1 and few == 0.01 and many == 0.001
assert all_zero == dependence == 0.001
assert abs(scipy_test.pvalue - without_ties) < 0.04 and without_ties > 0.02
PY
