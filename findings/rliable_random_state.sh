#!/usr/bin/env bash
# rliable ignores its random_state: intervals differ from call to call, and follow NumPy's global seed.
#
# Expected: get_interval_estimates with random_state=RandomState(0) gives the same interval each time: "if specified,
#   ensures reproducibility", as its help says.
# Happens: the draws come from NumPy's global generator, whatever random_state is. Two calls with the same state
#   differ, two with different states agree where np.random.seed was called before each of them. arch's own bootstrap
#   with the same state is repeatable. No message.
# Versions: rliable 1.2.0, arch 7.2.0, NumPy 2.4.6.
# Why it matters: an interval over seeds and sites that was printed with its seed cannot be computed again, and a
#   training in the same process, which uses the global generator, draws different numbers afterwards.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   state 0, twice: [0.78226, 0.80652] [0.78069, 0.80788]
#   state 1, after the same global seed as the first: [0.78226, 0.80652]
#   arch, state 0, twice: [0.78121, 0.80752] [0.78121, 0.80752]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 pandas==2.3.3 arch==7.2.0 rliable==1.2.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
from arch.bootstrap import IIDBootstrap
from numpy.random import RandomState
from rliable import library

dice = np.random.default_rng(0).normal(0.8, 0.05, (5, 6))  # five seeds, six sites


def interval(state):
    _, limits = library.get_interval_estimates(
        {'model': dice}, lambda scores: np.array([scores.mean()]), reps=200, random_state=RandomState(state)
    )
    return [round(float(limit), 5) for limit in limits['model'].ravel()]


def by_arch(state):
    limits = IIDBootstrap(dice.ravel(), seed=RandomState(state)).conf_int(np.mean, reps=200, method='percentile')
    return [round(float(limit), 5) for limit in limits.ravel()]


np.random.seed(7)
first, second = interval(0), interval(0)
print('state 0, twice:', first, second)
assert first != second
np.random.seed(7)
other = interval(1)
print('state 1, after the same global seed as the first:', other)
assert other == first
print('arch, state 0, twice:', by_arch(0), by_arch(0))
assert by_arch(0) == by_arch(0) != by_arch(1)
PY
