#!/usr/bin/env bash
# Autorank lists the worst model first, and computes effect sizes relative to it.
#
# Expected: autorank(data), at its default order='descending' for scores where higher is better, ranks the best model
#   first, with "the effect size in comparison to the highest mean value", as the help says.
# Happens: the column of ranks is right, 1 for the best, but the rows are sorted by it in descending order: rankdf's
#   first row is the worst model, and every effect is a difference from it. Of three models the best gets an effect of
#   -11.7 and the worst an effect of 0. With order='ascending', for errors, the first row is the best.
# Versions: autorank 1.3.0, baycomp 1.0.3, pandas 3.1.1, SciPy 1.17.1, statsmodels 0.15.0, NumPy 2.4.6.
# Why it matters: scripts read the winner from rankdf.index[0], and latex_table prints the rows as they are: a table of
#   Dice names the worst method first, with negative effects for the good ones.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   scores, expected: good mid bad, ranks 1 2 3, effects from good
#   scores, happened: bad mid good - ranks 3 2 1 - effects 0.0 -8.0 -11.7
#   errors, expected and happened: good mid bad - ranks 1 2 3 - effects 0.0 -2.5 -11.7
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 pandas==3.1.1 statsmodels==0.15.0 baycomp==1.0.3 autorank==1.3.0
MPLBACKEND=agg venv/bin/python -W ignore - <<'PY'
import contextlib
import io

import numpy as np
import pandas as pd
from autorank import autorank

draw = np.random.default_rng(0).normal
dice = pd.DataFrame({name: mean + draw(0, 0.02, 30) for name, mean in (('bad', 0.7), ('good', 0.9), ('mid', 0.85))})


def ranking(data, order):
    with contextlib.redirect_stdout(io.StringIO()):
        rows = autorank(data, order=order).rankdf
    effects = [round(float(value), 1) for value in rows['effect_size']]
    ranks = [round(float(value)) for value in rows['meanrank']]
    return list(rows.index), ranks, effects


models, ranks, effects = ranking(dice, 'descending')
print('scores, expected: good mid bad, ranks 1 2 3, effects from good')
print('scores, happened:', *models, '- ranks', *ranks, '- effects', *effects)
assert models == ['bad', 'mid', 'good'] and ranks == [3, 2, 1]
assert effects[0] == 0 > effects[1] > effects[2]
models, ranks, effects = ranking(1 - dice, 'ascending')
print('errors, expected and happened:', *models, '- ranks', *ranks, '- effects', *effects)
assert models == ['good', 'mid', 'bad'] and ranks == [1, 2, 3]
assert effects[0] == 0
assert 'effect size in comparison to the highest mean value' in autorank.__doc__
PY
