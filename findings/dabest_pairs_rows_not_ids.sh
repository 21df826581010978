#!/usr/bin/env bash
# DABEST pairs scores by row order. It requires a column of names, but does not pair by it.
#
# Expected: load(..., paired='baseline', id_col='image') pairs the two scores of an image by its name, which is why the
#   column is required. The order of the rows changes nothing.
# Happens: the first score of one model is paired with the first of the other, and so on. Names are used to draw lines
#   and to leave out images with a gap. If the rows of the two models are ordered differently, a gain of 0.024 that is
#   present on each of 20 images gets an interval from -0.041 to 0.090, and a p of 0.5. Rows sorted by name give the
#   correct result, and so does a table with one column for each model. No message.
# Known: DABEST-python's pull request 237.
# Versions: dabest 2025.10.20, NumPy 2.1.3, pandas 2.2.3, SciPy 1.15.3.
# Why it matters: scores come from two runs, whose files list the images in different orders. The gain on each image is
#   lost silently: the difference of the means is the same.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   by hand: 0.024 from 0.021 to 0.027
#   same order: 0.024 from 0.021 to 0.027, p 5e-12
#   other order: 0.024 from -0.041 to 0.090, p 0.5
#   other order, sorted: 0.024 from 0.021 to 0.027, p 5e-12
#   a column each: 0.024 from 0.021 to 0.027, p 5e-12
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.1.3 pandas==2.2.3 scipy==1.15.3 dabest==2025.10.20
venv/bin/python -W ignore - 2> messages <<'PY' || { cat messages >&2; exit 1; }
import contextlib
import io

import numpy as np
import pandas as pd

with contextlib.redirect_stdout(io.StringIO()):
    import dabest

generator = np.random.default_rng(0)
base, gain = generator.uniform(0.5, 0.95, 20), generator.uniform(0.01, 0.035, 20)
names = [f'case{i}' for i in range(20)]
old = pd.DataFrame(dict(image=names, model='old', dice=base))
new = pd.DataFrame(dict(image=names, model='new', dice=base + gain))
shuffled = pd.concat([old, new.sample(frac=1, random_state=3)], ignore_index=True)
TABLES = {
    'same order': pd.concat([old, new], ignore_index=True),
    'other order': shuffled,
    'other order, sorted': shuffled.sort_values('image', kind='stable'),
}


def interval(table, **columns):
    with contextlib.redirect_stdout(io.StringIO()):
        loaded = dabest.load(
            table, idx=('old', 'new'), paired='baseline', id_col='image', resamples=2000, random_seed=1, **columns
        )
        result = loaded.mean_diff.results.iloc[0]
    return [float(result[key]) for key in ('difference', 'pct_low', 'pct_high', 'pvalue_paired_students_t')]


def line(name, values):
    print(f'{name}: {values[0]:.3f} from {values[1]:.3f} to {values[2]:.3f}, p {values[3]:.1g}')


drawn = gain[generator.integers(0, 20, (2000, 20))].mean(1)
by_hand = gain.mean(), *np.percentile(drawn, [2.5, 97.5])
found = {name: interval(table, x='model', y='dice') for name, table in TABLES.items()}
found['a column each'] = interval(shuffled.pivot(index='image', columns='model', values='dice').reset_index())
print(f'by hand: {by_hand[0]:.3f} from {by_hand[1]:.3f} to {by_hand[2]:.3f}')
for name, values in found.items():
    line(name, values)
torn = found.pop('other order')
for values in found.values():
    assert np.allclose(values[:3], by_hand, atol=1e-3) and values[3] < 1e-9
assert np.isclose(torn[0], by_hand[0]) and torn[1] < -0.02 and torn[2] > 0.07 and torn[3] > 0.3
PY
