#!/usr/bin/env bash
# irrCAC halves the p value of Brennan and Prediger's agreement for ratings in rows.
#
# Expected: p values of all coefficients are two-sided. Two readers who agree on 20 of 30 images, with equal shares,
#   have Brennan and Prediger's coefficient, Fleiss' kappa and Gwet's AC1 of 1/3, a z of 1.904, and p 0.067.
# Happens: CAC(ratings).bp() of irrCAC.raw returns the upper tail alone, p 0.033, for the same coefficient, standard
#   error and z as fleiss() and gwet(), and beside an interval that contains 0. bp() of irrCAC.table, from the counts of
#   the same ratings, is two-sided. The help does not mention a direction.
# Versions: irrCAC 0.4.4, SciPy 1.12.0, pandas 2.3.3, NumPy 1.26.4.
# Why it matters: agreement of readers on what is a lesion is often reported by several coefficients in one table. This
#   one alone becomes significant, at half the evidence.
# Seen: 2026-12-01, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected by hand: 0.333 - z 1.904 - p 0.067
#   fleiss: 0.333 - z 1.904 - p 0.067; two-sided p of this z: 0.067
#   gwet: 0.333 - z 1.904 - p 0.067; two-sided p of this z: 0.067
#   bp: 0.333 - z 1.904 - p 0.033; two-sided p of this z: 0.067
#   bp of the table: 0.333 - z 1.936 - p 0.063; two-sided p of this z: 0.063
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==1.26.4 scipy==1.12.0 pandas==2.3.3 irrCAC==0.4.4
venv/bin/python -W ignore - <<'PY'
import pandas as pd
from irrCAC.raw import CAC
from irrCAC.table import CAC as TableCAC
from scipy import stats

counts = pd.DataFrame([[10, 5], [5, 10]], index=['healthy', 'lesion'], columns=['healthy', 'lesion'])
rows = [(one, other) for one in counts for other in counts for _ in range(counts.loc[one, other])]
ratings = pd.DataFrame(rows, columns=['reader 1', 'reader 2'])

# By hand: agreement is +1 on 20 images and -1 on 10, with mean 1/3 and variance (30 - 30 / 9) / 29 around it.
z_by_hand = (1 / 3) / ((30 - 30 / 9) / 29 / 30) ** 0.5
p_by_hand = 2 * stats.t.sf(z_by_hand, 29)
print(f'expected by hand: 0.333 - z {z_by_hand:.3f} - p {p_by_hand:.3f}')


def shown(name, estimate):
    value, z, p = (float(estimate[key]) for key in ('coefficient_value', 'z', 'p_value'))
    two_sided = 2 * stats.t.sf(z, 29)
    print(f'{name}: {value:.3f} - z {z:.3f} - p {p:.3f}; two-sided p of this z: {two_sided:.3f}')
    return z, p, two_sided


raw = CAC(ratings)
for name in ('fleiss', 'gwet', 'bp'):
    estimate = getattr(raw, name)()['est']
    z, p, two_sided = shown(name, estimate)
    assert abs(z - z_by_hand) < 1e-4 and estimate['confidence_interval'][0] < 0
    assert abs(p - (p_by_hand / 2 if name == 'bp' else p_by_hand)) < 1e-4
z, p, two_sided = shown('bp of the table', TableCAC(counts).bp()['est'])
assert abs(p - two_sided) < 1e-4
PY
