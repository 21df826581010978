#!/usr/bin/env bash
# Polars ranks NaN above every number, so an undefined score passes a filter for scores above 0.8.
#
# Expected: NaN > 0.8 is false, as in NumPy, pandas and Python.
# Happens: Polars treats NaN as equal to itself and above every number in comparisons, sorting and quantiles: a filter
#   for scores above 0.8 keeps the undefined ones, the best image of a sorted table is one of them, the median rises.
#   max() still leaves NaN out, and mean() is NaN. fill_nan(None) makes them missing, as they should be.
# Versions: Polars 2.1.0, pandas 3.1.1, NumPy 2.4.6.
# Why it matters: Dice of healthy images and HD95 of missed lesions are NaN. The share of images
#   above a threshold then counts them as successes: 4 of 5 here for 2 of 3 that have a score.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   scores: [0.9, nan, 0.5, 0.85, nan]
#   above 0.8, first of the sorted, median, max
#   expected, pandas: (2, 0.9, 0.85, 0.9)
#   Polars: (4, nan, 0.9, 0.9)
#   Polars, fill_nan(None): (2, 0.9, 0.85, 0.9)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 pandas==3.1.1 polars==2.1.0
venv/bin/python -W ignore - <<'PY'
import math

import pandas
import polars

scores = [0.9, math.nan, 0.5, 0.85, math.nan]
table = polars.DataFrame({'dice': scores})
frame = pandas.DataFrame({'dice': scores})
dice = polars.col('dice')


def measured(table):
    best = table.sort('dice', descending=True, nulls_last=True)['dice'][0]
    return table.filter(dice > 0.8).height, best, table['dice'].median(), table['dice'].max()


usual = (
    int((frame['dice'] > 0.8).sum()),
    float(frame.sort_values('dice', ascending=False)['dice'].iloc[0]),
    float(frame['dice'].median()),
    float(frame['dice'].max()),
)
happened, missing = measured(table), measured(table.fill_nan(None))
print('scores:', scores)
print('above 0.8, first of the sorted, median, max')
print('expected, pandas:', usual)
print('Polars:', happened)
print('Polars, fill_nan(None):', missing)
assert usual == missing == (2, 0.9, 0.85, 0.9)
assert happened[0] == 4 and math.isnan(happened[1]) and happened[2:] == (0.9, 0.9)
PY
