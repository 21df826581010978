#!/usr/bin/env bash
# betacal's calibration with parameters='ab' gives the most confident pixels of a rare lesion the lowest probability.
#
# Expected: beta calibration keeps the order of probabilities: its exponents are at least 0, as in its authors' paper,
#   which the class cites.
# Happens: with 'abm' and 'am' it does. With 'ab', where 0.5 stays 0.5, no exponent is checked. Where lesion is rarer
#   than the model says, one comes out below 0: the curve rises to 0.78 and falls to 0.05 at 1.0, which is less than
#   what 0.4 becomes. There is no message; fit also turns off all warnings of the program.
# Versions: betacal 1.1.0, scikit-learn 1.9.1, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: models are overconfident on small lesions, and their most confident pixels lie in the centre of a
#   lesion. With a threshold of 0.5 the calibrated map has a hole there.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   probability: 0.4 0.5 0.8 0.95 0.99 0.999999 1.0
#   share of lesion: 0.022 0.047 0.443 0.947 0.998 1.0 1.0
#   calibrated, abm: 0.022 0.048 0.445 0.949 0.998 1.0 1.0
#   calibrated, am: 0.022 0.048 0.446 0.948 0.998 1.0 1.0
#   calibrated, ab: 0.371 0.5 0.739 0.783 0.764 0.493 0.048
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 betacal==1.1.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
from betacal import BetaCalibration

random = np.random.default_rng(0)
probability = random.uniform(0, 1, 20000)


def share(probability):
    """Share of lesion among pixels of this probability: rarer than the model says below 0.95."""
    return 1 / (1 + np.exp(3 - 2 * np.log(probability / (1 - probability))))


lesion = random.random(20000) < share(probability)
shown = np.array([0.4, 0.5, 0.8, 0.95, 0.99, 0.999999, 1.0])
print('probability:', *shown)
print('share of lesion:', *share(shown[:-1]).round(3), 1.0)
curves = {}
for parameters in ('abm', 'am', 'ab'):
    curve = curves[parameters] = BetaCalibration(parameters=parameters).fit(probability, lesion).predict(shown)
    print(f'calibrated, {parameters}:', *curve.round(3))
for parameters in ('abm', 'am'):
    assert (np.diff(curves[parameters]) >= 0).all()
    assert np.allclose(curves[parameters][:-1], share(shown[:-1]), atol=0.03)
assert curves['ab'][4] > 0.7 > 0.1 > curves['ab'][-1]
PY
