#!/usr/bin/env bash
# PyMARE's undirected combination of tests finds effects in noise: with 20 studies, in all of 2000 cases.
#
# Expected: where no study has an effect, p is below 0.05 in one of twenty cases, by each mode of a combination test.
#   mode='undirected' tests whether there are effects, whichever direction each of them has.
# Happens: z values are replaced by their absolute values and combined as if these were one-sided z values of which the
#   mean is 0. The mean is 0.8, so that p falls with the number of studies: of 2000 cases without any effect Stouffer's
#   test finds one in 58 % with five studies and in 100 % with 20, Fisher's in 33 % and 93 %. The other two modes, and
#   Fisher's method on two-sided p values, are right. A warning asks whether an undirected test is wanted, and the help
#   says that it is seldom the right one; neither mentions p values that are too small.
# Versions: pymare 0.0.13, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: this is the question for a method that helps at some hospitals and harms at others. With some twenty
#   hospitals, noise alone answers yes.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   share of 2000 cases without an effect in which p < 0.05; expected: 0.05
#   5 studies, Stouffer: directed 0.05 concordant 0.05 undirected 0.58
#   5 studies, Fisher: directed 0.05 concordant 0.05 undirected 0.33
#   5 studies, Fisher by SciPy of two-sided p values: 0.05
#   20 studies, Stouffer: directed 0.06 concordant 0.05 undirected 1.0
#   20 studies, Fisher: directed 0.06 concordant 0.05 undirected 0.93
#   20 studies, Fisher by SciPy of two-sided p values: 0.05
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 pymare==0.0.13
venv/bin/python -W ignore - <<'PY'
import numpy as np
from pymare.estimators import FisherCombinationTest, StoufferCombinationTest
from scipy import stats

MODES = ('directed', 'concordant', 'undirected')
generator = np.random.default_rng(0)
found = {}
print('share of 2000 cases without an effect in which p < 0.05; expected: 0.05')
for studies in (5, 20):
    z = generator.standard_normal((studies, 2000))
    for test in (StoufferCombinationTest, FisherCombinationTest):
        name = test.__name__.removesuffix('CombinationTest')
        for mode in MODES:
            p = np.ravel(test(mode).fit(z).summary().p)
            found[studies, name, mode] = round(float((p < 0.05).mean()), 2)
        print(f'{studies} studies, {name}:', *(f'{mode} {found[studies, name, mode]}' for mode in MODES))
    two_sided = 2 * stats.norm.sf(np.abs(z))
    by_scipy = round(float((stats.chi2.sf(-2 * np.log(two_sided).sum(axis=0), 2 * studies) < 0.05).mean()), 2)
    print(f'{studies} studies, Fisher by SciPy of two-sided p values: {by_scipy}')
    assert 0.03 < by_scipy < 0.07
assert all(0.03 < share < 0.07 for (_, _, mode), share in found.items() if mode != 'undirected')
assert found[5, 'Stouffer', 'undirected'] > 0.5 and found[20, 'Stouffer', 'undirected'] > 0.99
assert found[5, 'Fisher', 'undirected'] > 0.25 and found[20, 'Fisher', 'undirected'] > 0.85
PY
