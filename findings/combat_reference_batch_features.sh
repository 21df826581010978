#!/usr/bin/env bash
# With a reference site, pyComBat leaves as many features uncorrected as that site has images.
#
# Expected: of pycombat(data, batch, ref_batch=...), with features in rows and images in columns, the images of the
#   reference stay as they are, and every feature of the others is moved to it.
# Happens: the indices of the reference's images are used as indices of features. With images 0 to 19 from the
#   reference, features 0 to 19 of all sites come back as they were, and a shift of 8 stays a shift of 8; the rest is
#   right. With images 20 to 39 as the reference it is features 20 to 39. Without a reference all are right. No message,
#   as long as there are more features than images before the end of the reference.
# Known: fixed in its successor inmoose (its issue 14); combat 0.3.3 is the last one of its name.
# Versions: combat 0.3.3, pandas 2.3.3 (with pandas 3 it ends with an error), NumPy 2.4.6.
# Why it matters: it is used to harmonise hundreds of features between hospitals, from a few dozen images. Part of the
#   table keeps its site effect, selected by the order of its columns, and a classifier finds it.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   shift between a and b that is left, of 8; expected: about 0 for all features
#   reference None: {'0 to 19': 0.1, '20 to 39': 0.1, '40 to 99': 0.1}
#   reference a: {'0 to 19': 8.1, '20 to 39': 0.0, '40 to 99': 0.0}
#   reference b: {'0 to 19': 0.0, '20 to 39': 7.9, '40 to 99': 0.0}
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 pandas==2.3.3 combat==0.3.3
venv/bin/python -W ignore - <<'PY'
import contextlib
import io

import numpy as np
import pandas as pd
from combat.pycombat import pycombat

rng = np.random.default_rng(0)
IMAGES, FEATURES = 20, 100
SHIFTS = {'a': 0, 'b': 8, 'c': -8}
sites = [name for name in SHIFTS for _ in range(IMAGES)]
table = rng.normal(100, 20, (FEATURES, 1)) + rng.normal(0, 1, (FEATURES, 3 * IMAGES))
table += np.repeat(list(SHIFTS.values()), IMAGES)
BLOCKS = {'0 to 19': slice(0, 20), '20 to 39': slice(20, 40), '40 to 99': slice(40, None)}


def shift_left(reference):
    """What is left of the shift of 8 between a and b, for three blocks of features."""
    with contextlib.redirect_stdout(io.StringIO()):
        made = pycombat(pd.DataFrame(table), sites, ref_batch=reference).to_numpy()
    gap = made[:, :IMAGES].mean(axis=1) - made[:, IMAGES : 2 * IMAGES].mean(axis=1)
    return {name: round(float(np.abs(gap[rows]).mean()), 1) for name, rows in BLOCKS.items()}


results = {name: shift_left(name) for name in (None, 'a', 'b')}
print('shift between a and b that is left, of 8; expected: about 0 for all features')
for name, left in results.items():
    print(f'reference {name}:', left)
for reference, wrong in (('a', '0 to 19'), ('b', '20 to 39')):
    kept = results[reference].pop(wrong)
    assert kept > 7.5 and max(results[reference].values()) < 0.2
assert max(results[None].values()) < 0.2
PY
